/*
 * window-end.pml - the end of a window under a guest that uses it
 * (libcore/window.h; cmd/guestd/tlb.c, cmd/iovdev/direct.c,
 * cmd/rootbridge/windows.c).
 *
 * What is modelled: a guest that makes ACCESSES accesses, in a window as long
 * as it has one and over the bus after that, and looks at the window at any
 * time; a device that takes what is in the ring, and ends the window at any
 * time; the root bridge, which truncates the memory then.  A push into
 * truncated memory reaches nobody, and is noticed (SIGBUS) by the one who made
 * it.  Each process may stand still as long as it likes.
 *
 * Claims: every access is done (complete); none is done twice, too early or too
 * late, and no reply is left behind (safe).
 *
 * Planted mistakes: -DLOST_LAST has the guest look whether the window is
 * truncated after whether it ended, -DREPLIES_FIRST lets it take the replies
 * before either, -DFINAL_FIRST has the device say how far it came before it is
 * that far, -DTRUNCATE_FIRST truncates without waiting for the device.
 */
#define ACCESSES 3

byte write_index, read_index, final;
bool ended, truncated;
byte applied;			/* accesses that the registers have seen */
bool wrong;
bool asked;			/* to end it */

inline apply(i)
{
	atomic {
		wrong = wrong || (i) != applied;
		applied++
	}
}

proctype device()
{
	byte seen;

	do
	:: !asked && read_index != write_index ->
		apply(read_index);
		read_index++
	:: asked -> break
	od;
	seen = write_index;
#ifdef FINAL_FIRST
	final = read_index;
	ended = true;
#endif
	do
	:: read_index != seen ->
		apply(read_index);
		read_index++
	:: else -> break
	od;
#ifndef FINAL_FIRST
	final = read_index;
	ended = true
#endif
}

proctype bridge()
{
	asked = true;
#ifndef TRUNCATE_FIRST
	ended;
#endif
	truncated = true
}

inline push()
{
	own++;
	if
	:: atomic { truncated -> lost = true }
	:: atomic { !truncated -> write_index = own }
	fi
}

proctype guest()
{
	byte own, taken, at;
	bool lost, saw_lost, saw_ended;

	/* In the window. */
	do
	:: true ->
		if
		:: own < ACCESSES -> push()
		:: truncated -> lost = true	/* touch */
		:: true
		fi;
#ifdef REPLIES_FIRST
		taken = read_index;
#endif
		saw_lost = lost;		/* look */
		saw_ended = ended;
#ifndef REPLIES_FIRST
		taken = read_index;
#endif
		if				/* a reply leads to a push */
		:: own < ACCESSES -> push()
		:: true
		fi;
#ifdef LOST_LAST
		saw_lost = lost;
#endif
		if
		:: saw_ended -> break
		:: !saw_ended && saw_lost -> goto aborted
		:: !saw_ended && !saw_lost
		fi
	od;
	/* Over the bus: what was not done, and the rest. */
	wrong = wrong || taken != final;
	at = final;
	do
	:: at < ACCESSES -> apply(at); at++
	:: else -> break
	od;
aborted:
	skip
}

init
{
	atomic {
		run device();
		run bridge();
		run guest()
	}
}

ltl complete { <> (applied == ACCESSES) }
ltl safe { [] !wrong }

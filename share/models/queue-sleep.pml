/*
 * queue-sleep.pml - going to sleep at a queue against moving its index
 * (libcore/queue.c, S1 to S4), at both ends.
 *
 * What is modelled: a writer that moves the write index once for each entry
 * and a reader that takes all there is at once; a ring in which PLACES entries
 * fit; each end's flag "I sleep"; doorbell and interrupt, which stay set until
 * they are seen, as an eventfd does.  Each end looks at a copy of the other's
 * index first, as the code does.
 *
 * A store that is not seq_cst may become visible after later loads of the same
 * thread.  Such a store goes to a buffer, from which a process of its own
 * makes it visible at any time; a seq_cst one is visible at once.
 *
 * Claims: all entries arrive (arrives), so no wake-up is lost, and no more
 * entries are in the ring than fit (bounded).
 *
 * Planted mistakes: -DRELEASE makes S1 a mere release, -DLOOK_FIRST has the
 * sleeper look (S4) before it says that it sleeps (S3), -DNO_LOOK leaves S4
 * out.
 */
#define ENTRIES 4
#define PLACES 2

byte write_index, read_index;	/* as the other end sees them */
bool write_sleeping, read_sleeping;
bool doorbell, interrupt;
byte taken;
bool overrun;

#ifdef RELEASE
chan write_buffer = [ENTRIES] of { byte };
chan read_buffer = [ENTRIES] of { byte };

proctype store_buffer()
{
	byte value;

end:	do
	:: atomic { write_buffer?value -> write_index = value }
	:: atomic { read_buffer?value -> read_index = value }
	od
}
#define STORE(to, index, value) to!value
#else
#define STORE(to, index, value) index = value
#endif

/* S3, S4: until the other's index is no longer `seen`, or the bell rings. */
inline sleep(flag, index, seen, bell)
{
#ifdef LOOK_FIRST
	if
	:: index == seen -> flag = true; bell; bell = false
	:: else
	fi;
#else
	flag = true;
#ifdef NO_LOOK
	bell; bell = false;
#else
	if
	:: index == seen -> bell; bell = false
	:: else
	fi;
#endif
#endif
	flag = false
}

proctype writer()
{
	byte own, peer;

	do
	:: own == ENTRIES -> break
	:: own < ENTRIES && own - peer < PLACES ->
		own++;
		overrun = overrun || own - read_index > PLACES;
		STORE(write_buffer, write_index, own);	/* S1 */
		if
		:: read_sleeping -> doorbell = true	/* S2 */
		:: else
		fi
	:: own < ENTRIES && own - peer == PLACES && read_index != peer ->
		peer = read_index
	:: own < ENTRIES && own - peer == PLACES && read_index == peer ->
		sleep(write_sleeping, read_index, peer, interrupt)
	od
}

proctype reader()
{
	byte peer;

	do
	:: taken == ENTRIES -> break
	:: taken < ENTRIES && taken < peer ->
		taken = peer;
		STORE(read_buffer, read_index, peer);	/* S1 */
		if
		:: write_sleeping -> interrupt = true	/* S2 */
		:: else
		fi
	:: taken < ENTRIES && taken == peer && write_index != peer ->
		peer = write_index
	:: taken < ENTRIES && taken == peer && write_index == peer ->
		sleep(read_sleeping, write_index, peer, doorbell)
	od
}

init {
	atomic {
		run writer(); run reader()
#ifdef RELEASE
		; run store_buffer()
#endif
	}
}

/* Every entry is taken, however the two ends interleave. */
ltl arrives { <> (taken == ENTRIES) }
/* The writer writes into no entry that the reader has not given back. */
ltl bounded { [] !overrun }

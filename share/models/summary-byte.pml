/*
 * summary-byte.pml - recording at the adapter against consuming
 * (libcore/hca_record.c R1 to R3, hca_signal.c, hca_consumer.h K1 to K3).
 *
 * What is modelled: completions of two completion queues that share an event
 * queue with a summary byte; the adapter, which records and interrupts as
 * figs. 4 to 6 say, at once or by its delay timer; a consumer that sleeps until
 * the interrupt, looks only when the summary byte is set, clears it, takes all
 * events, and for each event all completions of its queue.  An interrupt stays
 * pending until it is taken.
 *
 * Claims: every completion is taken (arrives), so no event is left behind; and
 * no slot is written over (bounded).
 *
 * Planted mistakes: -DBYTE_FIRST sets the summary byte before the entry,
 * -DCLEAR_LAST has the consumer clear the byte after it emptied the queue,
 * -DLOOK_FIRST has the adapter ask whether an event is queued (602) before it
 * adds the entry, -DTAKE_FIRST has the consumer empty a completion queue before
 * it clears the event's mark, -DNO_RERUN starts no timer with the first event.
 */
#define COMPLETIONS 2	/* of each completion queue */
#define SLOTS 4		/* of the event queue; each queue has one event in it */

bool valid[SLOTS];	/* the marks */
byte queue[SLOTS];	/* which completion queue the event is of */
byte written, last[2];	/* events; one more than each queue's last one */
byte last_any;		/* the same of any queue */
byte in_cq[2];		/* completions that are there */
byte taken;
bool byte_set, interrupt, timer, ran_out, immediate;
bool overrun;

/* Whether the event is still marked: R2.  n counts from 1. */
#define PENDING(n) (n > 0 && written - n < SLOTS && valid[(n - 1) % SLOTS])

/* A queue's completions, one after the other. */
proctype adapter()
{
	byte left[2], c;
	bool queued;

	left[0] = COMPLETIONS; left[1] = COMPLETIONS;
	do
	:: left[0] == 0 && left[1] == 0 -> break
	:: left[0] > 0 || left[1] > 0 ->
		if
		:: left[0] > 0 -> c = 0
		:: left[1] > 0 -> c = 1
		fi;
		left[c]--;
		in_cq[c]++;		/* 406, 410 */
		if
		:: PENDING(last[c])	/* 412 */
		:: else ->
#ifdef LOOK_FIRST
			queued = PENDING(last_any);
#endif
#ifdef BYTE_FIRST
			byte_set = true;
#endif
			overrun = overrun || valid[written % SLOTS];
			queue[written % SLOTS] = c;
			valid[written % SLOTS] = true;	/* 414, R1 */
			d_step { written++; last[c] = written };
#ifndef LOOK_FIRST
			queued = PENDING(last_any);
#endif
			last_any = written;
#ifndef BYTE_FIRST
			byte_set = true;		/* 504, R3 */
#endif
			if
			:: queued && !ran_out		/* 608, 612 */
			:: queued && ran_out -> interrupt = true; ran_out = false
			:: !queued && immediate -> interrupt = true
			:: !queued && !immediate ->	/* 604 */
#ifndef NO_RERUN
				timer = true
#else
				skip
#endif
			fi
		fi
	od
}

/* The delay timer: on expiry, if the queue is not empty, 610. */
proctype delay()
{
end:	do
	:: atomic { timer -> timer = false; ran_out = true };
		if
		:: valid[(written + SLOTS - 1) % SLOTS] -> interrupt = true
		:: else
		fi
	od
}

proctype consumer()
{
	byte next, c;

end:	do
	:: interrupt ->
		interrupt = false;
		if
		:: byte_set ->
#ifndef CLEAR_LAST
			byte_set = false;		/* K1 */
#endif
			do
			:: valid[next % SLOTS] ->
				c = queue[next % SLOTS];
#ifdef TAKE_FIRST
				d_step { taken = taken + in_cq[c]; in_cq[c] = 0 };
				valid[next % SLOTS] = false;
#else
				valid[next % SLOTS] = false;	/* K2 */
				d_step { taken = taken + in_cq[c]; in_cq[c] = 0 };	/* K3 */
#endif
				next++
			:: !valid[next % SLOTS] -> break
			od
#ifdef CLEAR_LAST
			; byte_set = false
#endif
		:: !byte_set
		fi
	od
}

init {
	if
	:: immediate = true
	:: immediate = false
	fi;
	atomic { run adapter(); run delay(); run consumer() }
}

/* Every completion is taken: no event is left behind. */
ltl arrives { <> (taken == 2 * COMPLETIONS) }
/* No slot that the consumer has not given back is written over. */
ltl bounded { [] !overrun }

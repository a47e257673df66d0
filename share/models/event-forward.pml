/*
 * event-forward.pml - from the adapter's event to the guest's
 * (libcore/demux_forward.c F1 to F5, demux_put.c D1 to D5, demux.h).
 *
 * What is modelled: completions of a completion queue of one guest, which has
 * one event in the host queue at most; firmware that takes the host event and
 * puts one into the guest's queue, unless the guest has one of that completion
 * queue; level 2, which puts a type 2 event into the same queue, and stops the
 * guest when it is idle until it is alerted; the guest, which sleeps until the
 * interrupt, takes all events, and for each all completions.  An interrupt stays
 * pending until it is taken.  Summary bytes are summary-byte.pml's.
 *
 * Claims: every completion and the type 2 event are taken (arrives), so no event
 * is left behind and no wake-up is lost; and no entry is written over (bounded).
 *
 * Planted mistakes: -DFORWARD_FIRST has firmware look at the guest's events
 * before it clears the host event's mark, -DQUEUED_FIRST has it ask whether the
 * entry before is marked (D3) before it marks its own (D2), -DENABLED_FIRST has
 * it look whether the guest takes interrupts before it makes its subclass
 * pending, -DALERT_LAST has level 2 look at what is pending before it sets the
 * alert mask, -DNO_SETTLE has it stop the guest while firmware is at work,
 * -DTAKE_TWICE takes an entry (D1) by a read and a write.
 */
#ifndef COMPLETIONS
#define COMPLETIONS 2
#endif
#define SLOTS 4		/* of the guest's queue */
#ifndef STOPS
#define STOPS 1
#endif

bool hvalid, gvalid[SLOTS];	/* the marks */
bool gtype2[SLOTS];
byte next, last;		/* entries taken; one more than the last one */
byte in_cq, taken, taken2;
bool irq, pending, open, alert, alerted, busy, idle, stopped;
bool overrun;

#define GPENDING (last > 0 && gvalid[(last - 1) % SLOTS] && \
		  !gtype2[(last - 1) % SLOTS])

proctype adapter()
{
	byte left = COMPLETIONS;

	do
	:: left == 0 -> break
	:: left > 0 ->
		left--;
		in_cq++;
		if
		:: hvalid			/* 1604 */
		:: !hvalid -> hvalid = true	/* R1 */
		fi
	od
}

/* 1714, 1716 */
inline signal_guest()
{
#ifdef ENABLED_FIRST
	if
	:: open -> irq = true
	:: !open ->
		pending = true;
		if
		:: alert -> d_step { alert = false; alerted = true }
		:: else
		fi
	fi
#else
	pending = true;
	if
	:: open -> pending = false; irq = true
	:: !open ->
		if
		:: alert -> d_step { alert = false; alerted = true }
		:: else
		fi
	fi
#endif
}

/* D1 to D5 */
inline put(type2, mine, queued)
{
#ifdef TAKE_TWICE
	mine = next;
	next = mine + 1;
#else
	d_step { mine = next; next++ };		/* D1, 1706 */
#endif
#ifdef QUEUED_FIRST
	queued = mine > 0 && gvalid[(mine - 1) % SLOTS];
#endif
	d_step {
		overrun = overrun || gvalid[mine % SLOTS];
		gtype2[mine % SLOTS] = type2;
		gvalid[mine % SLOTS] = true	/* D2, 1708 */
	};
#ifndef QUEUED_FIRST
	queued = mine > 0 && gvalid[(mine - 1) % SLOTS];	/* D3 */
#endif
	if
	:: queued
	:: !queued -> signal_guest()		/* D5 */
	fi
}

proctype firmware()
{
	byte mine;
	bool queued, has;

end:	do
	:: hvalid ->
		busy = true;
#ifdef FORWARD_FIRST
		has = GPENDING;
#endif
		hvalid = false;			/* F2 */
#ifndef FORWARD_FIRST
		has = GPENDING;			/* F3 */
#endif
		if
		:: has
		:: !has -> put(false, mine, queued); last = mine + 1	/* F4 */
		fi;
		busy = false
	od
}

inline start_guest()
{
	open = true;
	alert = false;
	if
	:: pending -> pending = false; irq = true
	:: else
	fi;
	stopped = false
}

proctype level2()
{
	byte stops, mine;
	bool queued, sent;

end:	do
	:: !sent -> put(true, mine, queued); sent = true
	:: alerted -> alerted = false; start_guest()
	:: idle && !stopped && stops < STOPS ->
		stops++;
		stopped = true;
		open = false;
#ifdef ALERT_LAST
		if
		:: pending || irq -> start_guest()
		:: else -> alert = true
		fi
#else
		alert = true;
#ifndef NO_SETTLE
		!busy;				/* demux_settled() */
#endif
		if
		:: pending || irq || !idle -> start_guest()
		:: else
		fi
#endif
	od
}

proctype guest()
{
	byte at;
	bool type2;

end:	do
	:: idle = true;
		(irq && !stopped) ->
		d_step { idle = false; irq = false };
		do
		:: gvalid[at % SLOTS] ->
			d_step {
				type2 = gtype2[at % SLOTS];
				gvalid[at % SLOTS] = false	/* K2 */
			};
			at++;
			if
			:: type2 -> taken2++
			:: else -> d_step { taken = taken + in_cq; in_cq = 0 }	/* K3 */
			fi
		:: !gvalid[at % SLOTS] -> break
		od
	od
}

init {
	open = true;
	atomic {
		run adapter(); run firmware(); run level2(); run guest()
	}
}

/* Every completion and event is taken: nothing is left behind. */
ltl arrives { <> (taken == COMPLETIONS && taken2 == 1) }
/* No entry that the consumer has not given back is written over. */
ltl bounded { [] !overrun }

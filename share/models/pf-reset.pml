/*
 * pf-reset.pml - the order a105 < a110 < a115 of spec 01 with the deaths of
 * hypervisor and device in it.
 *
 * What is modelled: VFs with their row at the root bridge (allowed or not),
 * their requests in flight, the device that answers each VF's requests in
 * order of arrival, and the hypervisor that suspends (a105), confirms by a
 * barrier (a110) and resets (a115).  The hypervisor may die between any two
 * steps, once; the next one takes up what the rows say.  The device may die
 * at any time, once.
 *
 * Claims: the device is never reset over a request in flight, so nothing but
 * a dead device ends in a timeout (safe); every request is answered once
 * (served); access is given back in the end (released).
 *
 * Planted mistakes: -DWRONG_ORDER resets before it confirms, -DNO_SUSPEND
 * leaves a105 out, -DNO_CONFIRM leaves a110 out.
 */
#define REQUESTS 2 /* by each guest */

mtype = { request, barrier };

bool allowed[2];	/* the row in the protection table */
byte in_flight[2];	/* the bridge's list, barriers not counted */
byte answered[2];
chan device0 = [REQUESTS + 2] of { mtype };
chan device1 = [REQUESTS + 2] of { mtype };
bool confirmed[2];	/* barrier replies to the hypervisor that lives */
bool vf_enable = true;
bool device_dead;
bool lost;		/* a reset threw a request away */
bool hv_died;		/* the one death was spent */
bool finished;		/* a hypervisor went through to the end */

/* The VF driver of guest n: its requests wait at the bridge while its row is
 * not allowed (they are parked and not in flight). */
proctype guest(byte n; chan to)
{
	byte sent;

	do
	:: sent < REQUESTS ->
		atomic {
			(allowed[n] && vf_enable) || device_dead;
			if
			:: device_dead -> break
			:: else
			fi;
			in_flight[n]++;
			to!request;
			sent++
		}
	:: else -> break
	od
}

/* VF n of the device finishes in order of arrival. */
proctype vf(byte n; chan from)
{
end:	do
	:: atomic {
		!device_dead && nempty(from) ->
		if
		:: from?request -> in_flight[n]--; answered[n]++
		:: from?barrier -> confirmed[n] = true
		fi
	   }
	:: device_dead -> break
	od
}

proctype device_death()
{
	if
	:: device_dead = true
	:: true
	fi
}

/* What the device has not answered by now is thrown away. */
inline reset_device()
{
	atomic {
		vf_enable = false;
		lost = lost || in_flight[0] > 0 || in_flight[1] > 0;
		do
		:: nempty(device0) -> device0?_
		:: nempty(device1) -> device1?_
		:: empty(device0) && empty(device1) -> break
		od
	}
}

inline suspend()	/* a105 */
{
#ifndef NO_SUSPEND
	d_step { allowed[0] = false; allowed[1] = false }
#endif
	skip
}

/* a300: a barrier to each VF; a305: wait for each reply. */
inline confirm()
{
#ifndef NO_CONFIRM
	d_step {
		confirmed[0] = false; confirmed[1] = false;
		device0!barrier; device1!barrier
	}
	(confirmed[0] && confirmed[1]) || device_dead;
#endif
	skip
}

inline resume()
{
	d_step { vf_enable = true; allowed[0] = true; allowed[1] = true }
}

/* The hypervisor may die here, if its death was not spent. */
inline may_die()
{
	if
	:: !hv_died -> hv_died = true; goto dead
	:: true
	fi
}

proctype hypervisor()
{
	may_die();
	suspend();
	may_die();
#ifdef WRONG_ORDER
	reset_device();
	confirm();
#else
	confirm();
	if
	:: device_dead -> goto out	/* the timeout ends the machine */
	:: else
	fi;
	may_die();
	reset_device();
#endif
	may_die();
	resume();
	finished = true;
	goto out;

dead:	/* The next hypervisor: rows and VF Enable tell where it stood. */
	if
	:: !vf_enable -> resume()	/* the reset was done */
	:: vf_enable && !allowed[0] -> confirm(); resume()
	:: else
	fi;
	finished = true;
out:
	skip
}

init {
	d_step { allowed[0] = true; allowed[1] = true };
	atomic {
		run guest(0, device0); run guest(1, device1);
		run vf(0, device0); run vf(1, device1);
		run device_death();
		run hypervisor()
	}
}

/* Nothing in flight is thrown away, whoever dies when. */
ltl safe { [] (!lost || device_dead) }
/* With a device that lives, every request of every guest is answered. */
ltl served { (<> device_dead) || <> (answered[0] == REQUESTS && answered[1] == REQUESTS) }
/* With a device that lives, access is given back. */
ltl released { (<> device_dead) || <> (finished && allowed[0] && allowed[1]) }

/*
 * Leases, and a provider that rotates refresh tokens and ends the session of a client that sends an old one (RFC 9700,
 * 4.14.2). docs/layout.md, "Leases"; the steps have the names that they have there.
 *
 * Modelled: one record, several processes that want its token refreshed. One tick is a third of the lease. Every step is one
 * request to the store, with compare-and-set, or to the provider. A request to the provider arrives less than a tick
 * after its sender last looked at the clock, and a process that lives renews its lease every tick, if the store takes
 * writes. The store may take none for DOWN ticks. Processes die between any two steps; the provider's answer may be lost.
 * Left out: clocks that differ (a lease is also free 5 minutes after its end by the taker's clock), the quota of writes.
 *
 * What must hold:
 *   turn      no request reaches the provider after another process has taken the lease over
 *   session   no refresh token that the provider has replaced is sent again, unless the answer was lost, with or
 *             without its process
 *   newer     the stored refresh token is never replaced by an older one
 *   stored    once all is done, the store has the provider's last refresh token, unless the answer was lost
 */
#ifndef PROCS
#define PROCS 2
#endif
#ifndef CRASHES
#define CRASHES 0
#endif
#ifndef LOSSES
#define LOSSES 0	/* answers of the provider */
#endif
#ifndef DOWN
#define DOWN 0		/* how many ticks long the store takes no writes, once */
#endif
#ifndef LOGINS
#define LOGINS 0	/* 1: the user logs in again, and the record gets another refresh token */
#endif
#ifndef ROUNDS
#define ROUNDS 1	/* how often the token is to be refreshed */
#endif

#define RUNS 3		/* ticks in a lease */

/* Variants that are broken on purpose. */
#ifdef ASK_LATE
#define ASKS 3		/* until two thirds of the lease have passed, and more */
#else
#define ASKS 2		/* the holder asks while less than two thirds have passed */
#endif
#ifdef TAKE_EARLY
#define TAKES 2
#else
#define TAKES 3		/* others take the lease that they have seen unchanged for so long */
#endif

#define NOBODY 255

byte token = 1;			/* the record's refresh token */
byte holder = NOBODY;		/* of the record's lease */
byte good = 1;			/* the provider's */
bit  down;
byte outage;
byte crashes, losses, done;
bit  excused;			/* an answer was lost */

byte since[PROCS];		/* ticks since the process took or renewed its lease */
byte watched[PROCS];		/* ticks since it saw the lease as it is */
bit  same[PROCS];		/* the lease is as it saw it */
bit  fresh[PROCS];		/* the record is as it read it */
bit  holds[PROCS];		/* it has, as far as it knows, the lease */
byte flight[PROCS];		/* 1 and more: a request to the provider is under way, and for so long */
byte gi;			/* scratch */

/* A write of the record; lease says that the lease changes. */
inline wrote(lease) {
	gi = 0;
	do
	:: gi == PROCS -> gi = 0; break
	:: else -> fresh[gi] = 0; same[gi] = same[gi] && !lease; gi++
	od
}

inline mayCrash() {
	if
	:: true
	:: crashes < CRASHES -> crashes++; excused = excused || got > token; goto dead
	fi
}

proctype Process(byte me) {
	byte mine, got;		/* the token that the lease was taken with; the provider's answer */
take:	atomic {						/* lease.take.1 */
		mine = token; fresh[me] = 1;
		if
		:: token > ROUNDS -> goto dead			/* not due any more */
		:: token <= ROUNDS && holder != NOBODY ->
			if
			:: !same[me] -> same[me] = 1; watched[me] = 0
			:: else
			fi;
			if
			:: watched[me] < TAKES -> goto take	/* lease.take.2 */
			:: else
			fi
		:: else
		fi;
		since[me] = 0
	}
	mayCrash();
	atomic {						/* lease.take.3 */
		if
#ifdef NO_CAS
		:: !down ->
#else
		:: !down && fresh[me] ->
#endif
			holder = me; holds[me] = 1; wrote(1)
		:: else -> goto take
		fi
	}
ask:	mayCrash();
	atomic {						/* lease.ask.1: the clock */
		if
#ifndef NO_CLOCK
		:: since[me] >= ASKS ->
			holds[me] = 0;				/* lease.back */
			if
			:: holder == me && !down -> holder = NOBODY; wrote(1)
			:: else
			fi;
			goto take
		:: since[me] < ASKS -> flight[me] = 1
#else
		:: flight[me] = 1
#endif
		fi
	}
	atomic {						/* lease.ask.2: the provider */
		flight[me] = 0;
		assert(holder == me);				/* turn */
#ifndef ONLY_TURN
		assert(mine == good || excused);		/* session */
#endif
		if
		:: mine != good -> holds[me] = 0; goto dead
		:: mine == good && losses < LOSSES -> losses++; excused = 1; good++; goto dead
		:: mine == good -> good++; got = good
		fi
	}
save:	mayCrash();
	atomic {						/* lease.save */
		if
		:: down -> goto save
#ifdef SAVE_BLIND
		:: !down ->
#else
		:: !down && token != mine -> goto dead		/* another has replaced it */
		:: !down && token == mine ->
#endif
			assert(got > token);			/* newer */
			token = got; got = 0; wrote(holder == me); holder = (holder == me -> NOBODY : holder)
		fi
	}
dead:	atomic { done++; holds[me] = 0; got = 0; mine = 0; since[me] = 0; watched[me] = 0; same[me] = 0; fresh[me] = 0; flight[me] = 0 }
}

active [LOGINS] proctype Login() {
	atomic { excused = 1; good++; token = good; wrote(0) }
}

#define LIVES(i) (holds[i] && holder == i && !down)

/* lease.renew: the holder renews the lease, at least once in a tick. */
active proctype Renewal() {
	byte i;
end:	do
	:: atomic {
		i = 0;
		do
		:: i < PROCS - 1 -> i++
		:: break
		od;
		if
		:: LIVES(i) && since[i] > 0 -> since[i] = 0; wrote(1)
		:: else
		fi;
		i = 0
	   }
	od
}

active proctype Clock() {
	byte i; bit may;
end:	do
	:: atomic {
		i = 0; may = 1;
		do
		:: i == PROCS -> break
		:: else ->
#ifndef FREEZE
			may = may && flight[i] < 2 && !(LIVES(i) && since[i] >= 1);
#endif
			i++
		od;
		if
		:: may ->
			i = 0;
			do
			:: i == PROCS -> break
			:: else ->
				since[i] = (since[i] < RUNS -> since[i] + holds[i] : RUNS);
				watched[i] = (watched[i] < RUNS -> watched[i] + same[i] : RUNS);
				flight[i] = (flight[i] > 0 && flight[i] < 2 -> flight[i] + 1 : flight[i]);
				i++
			od;
			outage = outage + down;
			if
			:: down && outage >= DOWN -> down = 0
			:: else
			fi
		:: else
		fi;
		i = 0; may = 0
	   }
	:: atomic { outage < DOWN && !down -> down = 1 }
	:: atomic { down -> down = 0; outage = DOWN }
	od
}

init {
	atomic {
		gi = 0;
		do
		:: gi < PROCS -> run Process(gi); gi++
		:: else -> gi = 0; break
		od
	}
	done == PROCS;
	#ifndef ONLY_TURN
	assert(token == good || excused)				/* stored */
#endif
}

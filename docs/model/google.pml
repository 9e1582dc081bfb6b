/*
 * One secret of Google Secret Manager: versions are added unconditionally, and the rule of the successor
 * decides which of them count. docs/layout.md, "Google"; the steps have the names that they have there.
 *
 * Modelled: one secret, whose record has an entry in the index; inserts, updates, deletes and finds that
 * read one version at a time; a `latest` that lags; lost answers; requests that arrive late; crashes between any two
 * calls. Left out: time, other secrets, states other than destroyed.
 *
 * What must hold:
 *   history   only a version made from the head becomes the head; destroying changes no live head
 *   entry     a live head has an entry of its own in the index
 *   verdict   a version of which its writer says that it never counted, never did
 *   delete    one delete ends one incarnation at most
 *   read      a find returns what was the head at a moment of its call, or (lag) the head that it had seen last
 *   purge     if no process died and no answer was lost, an absent record leaves no readable version and no entry
 */
#ifndef MAXV
#define MAXV 7
#endif
#ifndef CRASHES
#define CRASHES 0
#endif
#ifndef LOSSES
#define LOSSES 0	/* answers that are lost */
#endif
#ifndef LATES
#define LATES 0		/* requests without an answer that arrive at any time later */
#endif
#ifndef LAGS
#define LAGS 0		/* reads of latest that show an old version */
#endif
#ifndef INSERTS
#define INSERTS 0
#endif
#ifndef UPDATES
#define UPDATES 0
#endif
#ifndef DELETES
#define DELETES 0
#endif
#ifndef FINDS
#define FINDS 0
#endif
#ifndef TRIES
#define TRIES 2		/* attempts of one call */
#endif

#define BIT(n) (1 << (n))
#define HAS(set, n) (((set) & BIT(n)) != 0)
#define READABLE(n) (kind[n] != NONE && !HAS(gone, n))
#define LIVE(n) (kind[n] == REC && !HAS(gone, n))

#define NONE 0
#define REC  1
#define TOMB 2

/* What a writer knows of its version. */
#define WON     1	/* it counts */
#define LOST    2	/* it never did, nor will */
#define UNKNOWN 3
#define SILENT  4	/* no answer */

byte  top;			/* the highest number that was given */
byte  kind[MAXV + 1];
byte  base[MAXV + 1];
byte  inc[MAXV + 1];		/* the incarnation: the nonce of the insert's entry */
short claims[MAXV + 1];		/* a set of nonces */
short writes[MAXV + 1];		/* write_id and earlier_writes: a set of versions */
short gone;			/* the versions that are destroyed */

short entries;			/* the nonces in the index */
byte  nonces;			/* how many were made */

byte  H;			/* ghost: the head's number */
short was;			/* ghost: the live versions that were the head */
short seenBy[2];		/* ghost: what a running find may return; BIT(0) is the absence */

byte  crashes, losses, lates, lags, done;
bit   gaveUp;
bit   failed;			/* a process died or gave up, or an answer was lost */
byte  pLate, bLate, nLate; short cLate;	/* the request that is still on its way */
byte ended;			/* ghost: the incarnation that the last version has ended */
byte gh, gj; bit gw;		/* scratch, 0 between steps */

/* The head as a read of all versions at one moment finds it. */
inline truth() {
	gh = top;
	do
	:: gh == 0 || HAS(gone, gh) -> break
	:: else ->
		gw = base[gh] < gh; gj = base[gh] + 1;
		do
		:: gw && gj < gh -> gw = !HAS(gone, gj) && base[gj] != base[gh]; gj++
		:: else -> break
		od;
		if
		:: gw -> break
		:: else -> gh--
		fi
	od
}

inline note() {
	H = gh;
	if
	:: LIVE(H) -> was = was | BIT(H); seenBy[0] = seenBy[0] | BIT(H); seenBy[1] = seenBy[1] | BIT(H)
	:: else -> seenBy[0] = seenBy[0] | 1; seenBy[1] = seenBy[1] | 1
	fi;
	assert(!LIVE(H) || (entries & claims[H]) != 0);		/* entry */
	assert(READABLE(H) || (was & ~gone) == 0);		/* purge */
	gh = 0; gj = 0; gw = 0
}

/* The service adds a version, whatever its base is. */
inline add(b, what, i, c, w) {
	top++;
	kind[top] = what; base[top] = b; inc[top] = i; claims[top] = c; writes[top] = BIT(top) | w;
	truth();
	assert(gh == H || gh == top && b == H);			/* history */
	ended = (gh == top && LIVE(H) && (what == TOMB || i != inc[H]) -> inc[H] : 0);
	assert(ended == 0 || what == TOMB);
	note()
}

inline destroy(n) {
	gone = gone | BIT(n);
	truth();
	assert(!LIVE(H) && !LIVE(gh) || gh == H);		/* history */
	note()
}

inline forget(set) {
	entries = entries & ~(set);
	assert(!LIVE(H) || (entries & claims[H]) != 0)		/* entry */
}

inline mayCrash() {
	if
	:: true
	:: crashes < CRASHES -> crashes++; failed = 1; goto dead
	fi
}

/* One read by number, once in a way down. K are the versions that it has read, L those that it found readable. */
inline rd(n) {
	if
	:: HAS(K, n)
	:: else ->
		K = K | BIT(n);
		if
		:: READABLE(n) -> L = L | BIT(n)
		:: else
		fi
	fi
}

/*
 * google.read: hd is the head's number, or the number of the destroyed version at which the way down ended; hk is REC or
 * TOMB, or NONE for an absence. after is a version that is known to be superseded, 0 for none.
 */
inline head(after) {
	atomic {						/* google.read.1 */
		K = 0; L = 0; t = top;
		if
		:: true
		:: lags < LAGS && (seen > after -> seen : after) < top -> lags++; t = (seen > after -> seen : after)
		fi;
		seen = t;
		rd(t)
	}
	do
	:: atomic { hd = t; hk = NONE };
		do
		:: hd == 0 || hk != NONE -> break
		:: else ->
			atomic { rd(hd); w = HAS(L, hd) && base[hd] < hd; j = base[hd] + 1 }	/* google.read.2 */
			if
			:: !HAS(L, hd) -> break
			:: else
			fi;
			do					/* google.read.3 */
			:: w && j < hd -> atomic { rd(j); w = HAS(L, j) && base[j] != base[hd]; j++ }
			:: else -> break
			od;
			atomic {
				if
				:: w -> hk = kind[hd]
				:: else -> hd--
				fi
			}
		od;
		atomic {					/* google.read.4 */
			if
			:: hk != NONE && hd > after -> break
#ifdef BELIEVE_MISS
			:: else -> break
#else
			:: else
#endif
			fi;
			if
			:: t == top -> break
			:: else -> t++; K = 0; L = 0; seen = t; rd(t)
			fi
		}
	od;
	atomic { w = 0; j = 0; t = 0; K = 0; L = 0 }
}

/* google.write: adds a version on b and looks whether it counts. */
inline put(b, what, i, c, w) {
	atomic {						/* google.write.2 */
		if
		:: top == MAXV -> failed = 1; goto dead		/* here the model ends */
		:: else
		fi;
		if
		:: add(b, what, i, c, w);
			v = top; res = WON; seen = v; j = b + 1
		:: losses < LOSSES -> losses++; failed = 1; res = SILENT;
			add(b, what, i, c, w);
			v = top
		:: lates < LATES && what == REC -> lates++; failed = 1; res = SILENT; v = 0; ended = 0;
			bLate = b; nLate = i; cLate = c; pLate = 1
		fi;
		assert(ended == 0 || killed == 0 || killed == ended);	/* delete */
		killed = (ended -> ended : killed);
		ended = 0
	}
	do							/* google.write.3 */
	:: res != SILENT && j < v ->
		atomic {
			if
			:: HAS(gone, j) ->
#ifdef OLD_VERDICT
				res = LOST
#else
				res = UNKNOWN		/* or it has counted, and was superseded or deleted */
#endif
			:: !HAS(gone, j) && base[j] >= b -> res = LOST; break
			:: else
			fi;
			j++
		}
	:: else -> break
	od;
	atomic {
		j = 0;
#ifndef ANY_VERDICT
		assert(res != LOST || !HAS(was, v))		/* verdict */
#endif
	}
}

/* google.delete.4: destroys all up to n, the tombstone n last. */
inline destroyUpTo(n) {
	do
	:: atomic {
#ifdef TOMBSTONE_FIRST
		j = n;
		do
		:: j > 0 && !READABLE(j) -> j--
		:: else -> break
		od;
		if
		:: j == 0 -> break
		:: else -> destroy(j); j = 0
		fi
#else
		j = 1;
		do
		:: j <= n && !READABLE(j) -> j++
		:: else -> break
		od;
		if
		:: j > n -> j = 0; break
		:: else -> destroy(j); j = 0
		fi
#endif
	   }
	   mayCrash()
	od
}

/* google.delete.3 and google.delete.4, with the tombstone hi, made from lo. res is WON if all is destroyed. */
inline bury() {
	res = WON;
#ifndef ONE_TOMBSTONE
	do
	:: res == WON && lo + 1 < hi ->
		put(hi, TOMB, inc[hi], claims[hi], writes[hi]);
		atomic { if :: res == WON -> lo = hi; hi = v; mine = mine | BIT(v) :: else fi }
	:: else -> break
	od;
#endif
	if
	:: res == WON -> destroyUpTo(hi)
	:: else
	fi;
	atomic { lo = 0; hi = 0 }
}

/* google.late: covers a version of one's own that a delete has beaten, and destroys it. b is its base. */
inline discard(b) {
#ifndef NO_COVER
	head(b);
	if
	:: hk == REC
	:: else ->
#ifdef COVER_ON_BASE
		lo = b;
#else
		lo = hd;
#endif
		/* It keeps what the deleter needs, but not the tombstone's name: the deleter would take it for its own. */
		atomic {
			if
			:: hk == TOMB -> ci = inc[hd]; cc = claims[hd]; cw = writes[hd] & ~BIT(hd)
			:: else
			fi
		}
		put(lo, TOMB, ci, cc, cw);
		atomic { ci = 0; cc = 0; cw = 0 }
		if
		:: res == WON -> hi = v; bury()
		:: else -> lo = 0
		fi
	fi
#endif
	skip
}

#define LOCALS \
	byte v, hd, hk, t, j, lo, hi, res, seen, try, n, from, said, killed; \
	byte ci; short K, L, mine, c, cc, cw; \
	bit w

#define END \
	atomic { done++; v = 0; hd = 0; hk = 0; t = 0; j = 0; lo = 0; hi = 0; res = 0; seen = 0; try = 0; n = 0; from = 0; said = 0; \
		killed = 0; K = 0; L = 0; mine = 0; c = 0; w = 0; ci = 0; cc = 0; cw = 0 }

proctype Insert() {
	LOCALS;
	do
	:: try == TRIES -> failed = 1; gaveUp = 1; break
	:: else ->
		try++;
		head(0);					/* insert.1 */
		if
		:: hk == REC && HAS(c, inc[hd]) -> goto stored
		:: hk == REC && !HAS(c, inc[hd]) -> break
		:: hk == TOMB -> lo = base[hd]; hi = hd; bury(); goto next
		:: else
		fi;
#ifdef BASE_0
		hd = 0;
#endif
		mayCrash();
		atomic {					/* insert.4 */
			nonces++; n = nonces; entries = entries | BIT(n); c = c | BIT(n)
		}
		mayCrash();
write:		atomic { from = hd; cc = BIT(n) }
		put(hd, REC, n, cc, 0);				/* insert.5 */
		atomic { said = res; mine = mine | BIT(v); cc = 0 }
		if
		:: said == WON -> mayCrash(); hd = v; goto stored
		:: said == LOST || said == UNKNOWN -> discard(from)
		:: else
		fi;
		head((said == SILENT -> 0 : from));		/* insert.6 */
		if
#ifdef NO_INCARNATION
		:: hk != NONE && (writes[hd] & mine) != 0 -> goto stored
#else
		:: hk != NONE && HAS(c, inc[hd]) -> goto stored
#endif
		:: else ->
#ifdef SAME_NONCE
			if
			:: hk != REC && said == LOST -> goto write
			:: else
			fi;
#endif
			atomic {				/* insert.7 */
				if
				:: said == LOST || said == UNKNOWN -> forget(BIT(n))
				:: else
				fi
			}
			if
			:: hk == REC -> break
			:: else
			fi
		fi;
next:		skip
	od;
	goto dead;
stored:	atomic {						/* insert.8 */
		if
		:: inc[hd] == n -> forget(c & ~BIT(n))
		:: else -> failed = 1				/* they stay: the read may be older than they are */
		fi
	}
dead:	END
}

/* An update of the record as it is at the beginning. */
proctype Update() {
	LOCALS;
	head(0);						/* update.1 */
	if
	:: hk == REC -> n = inc[hd]
	:: else -> goto dead
	fi;
	do
	:: try == TRIES -> failed = 1; break
	:: else ->
		try++;
		mayCrash();
		from = hd;
		put(hd, REC, n, claims[hd], BIT(hd));		/* update.2 */
		said = res; mine = mine | BIT(v);
		if
		:: said == WON ->
			j = base[from] + 1;			/* google.write.4 */
			do
			:: j <= from ->
				mayCrash();
				atomic { if :: READABLE(j) -> destroy(j) :: else fi; j++ }
			:: else -> j = 0; break
			od;
#ifdef DESTROY_VOID
			j = from + 1;				/* those between the two, too */
			do
			:: j < v -> atomic { if :: READABLE(j) -> destroy(j) :: else fi; j++ }
			:: else -> j = 0; break
			od;
#endif
			break
		:: said == LOST || said == UNKNOWN -> discard(from)
		:: else
		fi;
		head((said == SILENT -> 0 : from));		/* update.3 */
		if
		:: hk != NONE && (writes[hd] & mine) != 0 -> break
		:: (hk == NONE || (writes[hd] & mine) == 0) && (hk != REC || inc[hd] != n) -> break
		:: hk == REC && (writes[hd] & mine) == 0 && inc[hd] == n
		fi
	od;
dead:	END
}

proctype Delete() {
	LOCALS;
	head(0);						/* delete.2 */
	if
	:: hk == NONE -> goto dead
	:: else -> from = inc[hd]
	fi;
	do
	:: try == TRIES -> failed = 1; goto dead
	:: else ->
		try++;
		mayCrash();
		c = c | claims[hd];
		if
		:: HAS(mine, hd) -> lo = base[hd]; hi = hd; bury(); said = res
		:: else ->
			lo = hd;
			put(hd, TOMB, inc[hd], claims[hd], BIT(hd));	/* google.delete.2 */
			said = res; mine = mine | BIT(v);
			if
			:: said == WON -> mayCrash(); hi = v; bury(); said = res
			:: said == LOST || said == UNKNOWN -> discard(lo)
			:: else
			fi
		fi;
		if
		:: said == WON -> break
		:: else
		fi;
		lo = 0;
		head(0);					/* delete.4 */
		if
		:: hk == NONE -> break
#ifndef DELETE_ANY
		:: hk != NONE && inc[hd] != from -> break		/* another record: this delete is over */
		:: hk != NONE && inc[hd] == from
#else
		:: hk != NONE
#endif
		fi
	od;
	mayCrash();
	atomic { forget(c) };					/* delete.5 */
dead:	END
}

/* A find: i is 0 or 1. */
proctype Find(byte i) {
	LOCALS;
	atomic { seenBy[i] = (LIVE(H) -> BIT(H) : 1) };
	head(0);
	atomic {
		assert(lags > 0 || HAS(seenBy[i], (hk == REC -> hd : 0)));	/* read */
		assert(hk != REC || HAS(was, hd))
	};
dead:	END
}

/* A request of which the sender has had no answer. */
active proctype Network() {
end:	do
	:: atomic { pLate -> pLate = 0;
		if
		:: top == MAXV -> failed = 1
		:: else -> add(bLate, REC, nLate, cLate, 0); ended = 0
		fi;
		bLate = 0; nLate = 0; cLate = 0
	   }
	od
}

#ifndef START
#define START 0
#endif

init {
	atomic {
#if START == 1	/* a record */
		nonces = 1; entries = BIT(1);
		top = 1; kind[1] = REC; inc[1] = 1; claims[1] = BIT(1); writes[1] = BIT(1); H = 1; was = BIT(1);
#endif
#if START == 2	/* a deleted record, and the void version of a late writer that died */
		nonces = 1; top = 3;
		kind[1] = REC; inc[1] = 1; claims[1] = BIT(1); writes[1] = BIT(1);
		kind[2] = TOMB; base[2] = 1; inc[2] = 1; claims[2] = BIT(1); writes[2] = BIT(2);
		kind[3] = REC; base[3] = 1; inc[3] = 1; claims[3] = BIT(1); writes[3] = BIT(3);
		gone = BIT(1) | BIT(2); H = 2; was = BIT(1);
#endif
		ended = INSERTS;
		do :: ended > 0 -> run Insert(); ended-- :: else -> break od;
		ended = UPDATES;
		do :: ended > 0 -> run Update(); ended-- :: else -> break od;
		ended = DELETES;
		do :: ended > 0 -> run Delete(); ended-- :: else -> break od;
		do :: ended < FINDS -> run Find(ended); ended++ :: else -> ended = 0; break od
	}
	done == INSERTS + UPDATES + DELETES + FINDS && !pLate;
	d_step {
#ifdef NO_GIVING_UP
		assert(!gaveUp);
#endif
		if
		:: failed || READABLE(H)
		:: else ->
			gj = 1;
			do
			:: gj > MAXV -> break
			:: else -> assert(!LIVE(gj)); gj++	/* purge */
			od;
			assert(entries == 0)
		fi
	}
}

/*
 * Entries of the index and records of tokens: insert, rename, delete and Repair. docs/index.md; the steps have the names
 * that they have there.
 *
 * Modelled: one page of the index, two ids, the users 1 and 2, one client id. Every step is one read, or one write with
 * compare-and-set of one secret. A write of a record may have no answer, may be stored and then refused (the service's
 * client sends it twice and meets itself), and may arrive late; processes die between any two steps. Revisions go on
 * over deletes; with -DAWS a create is carried out if there is no secret, whatever was there before, and a delete does
 * not compare revisions. Time is the age of an entry: 0 is below 3 minutes, 1 from 3 to 15, 2 older. No entry gets
 * older than 15 minutes while a write with its nonce is under way, nor, in the first 3 minutes of a delete, if its
 * write was possible when that noted the time.
 * Left out: several pages, hints, the limit of four nonces, the mark of records that share a user name.
 *
 * What must hold:
 *   entry     a live record has an entry with its id and user, and the entry's nonce is in its list
 *   unique    no two live records have one user
 *   delete    one delete ends one incarnation at most
 *   leftover  if no process died or gave up, each entry is of a live record
 */
#ifndef CRASHES
#define CRASHES 0
#endif
#ifndef LOSSES
#define LOSSES 0	/* writes of a record that have no answer, or meet themselves */
#endif
#ifndef AGEING
#define AGEING 0	/* how often an entry may get older */
#endif
#ifndef INSERTS
#define INSERTS 0	/* of user 1, under id 0 */
#endif
#ifndef OTHERS
#define OTHERS 0	/* of user 1, under id 1 */
#endif
#ifndef RENAMES
#define RENAMES 0	/* of the record under id 0, to user 2 */
#endif
#ifndef SECONDS
#define SECONDS 0	/* inserts of user 2, under id 1 */
#endif
#ifndef DELETES
#define DELETES 0	/* of id 0; 2 at most */
#endif
#ifndef REPAIRS
#define REPAIRS 0
#endif
#ifndef START
#define START 0		/* 1: user 1 has a record under id 0. 2: and an entry that no record owns, made by a process that died */
#endif
#ifndef TRIES
#define TRIES 2
#endif
#ifdef AWS
#define ISAWS 1
#else
#define ISAWS 0
#endif

/* Variants that are broken on purpose. */
#if defined DELETE_ALL
#define MAY_DELETE 1
#elif defined DELETE_NO_LIMIT
#define MAY_DELETE (e[gi].age == 2)
#else
#define MAY_DELETE (e[gi].age == 2 && early[d])
#endif
#ifdef REPAIR_YOUNG
#define MAY_REPAIR 1
#else
#define MAY_REPAIR (e[n].age == 2)
#endif

#define N 7		/* nonces are 1 to 6 */
#define BIT(n) (1 << (n))
#define HAS(set, n) (((set) & BIT(n)) != 0)

typedef Entry { byte id; byte user; byte incarnation; byte age; byte flying }	/* incarnation: of the record to be renamed; flying: writes under way */
typedef Secret { bit live; bit tomb; byte rev; byte inc; byte user; byte own; byte wid; byte old }
Entry  e[N];
Secret s[2];
byte   index;			/* the nonces in the index, a set */
byte   nonces, wids;

byte   noted[2];		/* of each delete: the entries that may get old in its first 3 minutes */
bit    early[2];		/* it is in them */

byte   crashes, losses, aged, done;
bit    failed;
bit    open;			/* a create is under way that no later write stops */
byte   gi; bit gok;		/* scratch, 0 between steps */

inline owned(i) {
	gi = 1; gok = !s[i].live;
	do
	:: gi < N && !gok -> gok = HAS(index & s[i].own, gi) && e[gi].id == i && e[gi].user == s[i].user; gi++
	:: else -> break
	od;
	assert(gok);						/* entry */
	gi = 0; gok = 0
}

inline check() {
	owned(0); owned(1);
	assert(!(s[0].live && s[1].live && s[0].user == s[1].user))	/* unique */
}

inline mayCrash() {
	if
	:: true
	:: crashes < CRASHES -> crashes++; failed = 1; goto dead
	fi
}

#define OK       1
#define CONFLICT 2
#define SILENT   3

#define FITS(creates) ((creates && ISAWS) && !s[i].live && !s[i].tomb || !(creates && ISAWS) && s[i].rev == r)

inline store() {
	s[i].old = (s[i].live -> s[i].wid : 0);
	s[i].live = 1; s[i].tomb = 0; s[i].rev++; s[i].inc = inc; s[i].user = u; s[i].own = own; s[i].wid = w;
	check()
}

/* Writes the record at revision r of id i. creates: there was no secret. The nonce n is under way all the time. */
inline put(creates) {
	atomic { wids++; w = wids; e[n].flying++ };
	if
	:: atomic {
		if
		:: FITS(creates) -> store(); res = OK
		:: else -> res = CONFLICT
		fi
	   }
	:: atomic { losses < LOSSES -> losses++;		/* stored, and then the client sends it again */
		if
		:: FITS(creates) -> store()
		:: else
		fi
	   };
	   atomic {
		if
#ifdef RETRY_CREATE
		:: FITS(creates) -> store(); res = OK
		:: !(FITS(creates)) -> res = CONFLICT
#else
		:: !(creates && ISAWS) -> res = CONFLICT
#endif
		:: res = SILENT
		fi
	   }
	:: atomic { losses < LOSSES -> losses++; res = SILENT;	/* it arrives late, or never */
		run Late(i, r, n, inc, u, own, w, creates); e[n].flying++ }
	fi;
	atomic { e[n].flying--; open = open || creates && ISAWS && res == SILENT }
}

proctype Late(byte i, r, n, inc, u, own, w; bit creates) {
	atomic {
		if
		:: FITS(creates) -> store()
		:: true
		fi;
		e[n].flying--
	}
}

/* insert.3: may the user be had? yes, no, or again. */
#define YES   1
#define NO    2
#define AGAIN 3

inline contest() {
	res = YES;
#ifndef NO_CONTEST
	gi = 1;
	do
	:: gi == N -> break
	:: else ->
		if
		:: HAS(page, gi) && e[gi].id != i && e[gi].user == u ->
			if
			:: s[1 - i].live && s[1 - i].user == u -> res = NO
			:: else ->
				if
				:: HAS(s[1 - i].own, gi)		/* the record had it before */
				:: !HAS(s[1 - i].own, gi) && e[gi].age == 2
				:: !HAS(s[1 - i].own, gi) && e[gi].age < 2 && e[gi].incarnation != 0 && e[gi].incarnation != s[1 - i].inc
				:: else ->
#ifndef CONTEST_YOUNG
					res = (res == NO -> NO : AGAIN)
#endif
					skip
				fi
			fi
		:: else
		fi;
		gi++
	od;
	gi = 0
#else
	skip
#endif
}

inline newNonce() {
	if
	:: nonces == N - 1 -> failed = 1; goto dead		/* here the model ends */
	:: else -> nonces++; n = nonces; e[n].id = i; e[n].user = u; mine = mine | BIT(n)
	fi
}

inline release(set) { atomic { index = index & ~(set); check() } }

#define END atomic { done++; r = 0; n = 0; inc = 0; own = 0; w = 0; page = 0; mine = 0; writes = 0; res = 0; said = 0; try = 0; has = 0; old = 0; silent = 0 }

#define LOCALS byte r, n, inc, own, w, page, mine, writes, res, said, try, has, old; bit vacant, silent

proctype Insert(byte i, u) {
	LOCALS;
	do
	:: try == TRIES -> failed = 1; break
	:: else ->
		try++;
		atomic {					/* insert.1 */
			vacant = !s[i].live; has = s[i].inc; r = s[i].rev;
			if
			:: s[i].tomb -> s[i].tomb = 0; s[i].inc = 0; s[i].own = 0; goto next	/* finishes the delete */
			:: else
			fi
		}
		if
		:: !vacant && HAS(mine, has) -> goto stored
		:: !vacant && !HAS(mine, has) -> break
		:: else
		fi;
		atomic { newNonce(); inc = n; own = BIT(n) }
		mayCrash();
#ifdef RECORD_FIRST
		put(1);
#endif
		do						/* insert.2: the entry */
		:: page = index;
			atomic { contest() }			/* insert.3 */
			if
			:: res == YES
			:: res == NO -> failed = failed || silent; goto dead	/* a conflict, for the caller */
			:: res == AGAIN -> goto next
			fi;
			atomic {				/* insert.4: the old entries of the id, and the record once more */
				old = 0; gi = 1;
				do
				:: gi == N -> gi = 0; break
				:: else -> if :: HAS(page, gi) && e[gi].id == i && e[gi].age == 2 -> old = old | BIT(gi) :: else fi; gi++
				od;
				if
				:: old != 0 && s[i].live -> goto next
				:: else
				fi
			}
			atomic {
				if
				:: index == page -> index = (index | BIT(n)) & ~old; old = 0; check(); break
				:: else
				fi
			}
		od;
		mayCrash();
#ifndef RECORD_FIRST
write:		atomic {					/* insert.5 */
#ifndef NO_LIMIT
			if
			:: e[n].age > 0 -> said = CONFLICT; goto failed_
			:: else
			fi;
#endif
			e[n].flying++
		}
		put(1);
		atomic { said = res; e[n].flying--; silent = silent || said == SILENT }
		if
		:: said == OK -> has = n; goto stored
		:: else
		fi;
failed_:	atomic { has = s[i].inc; vacant = !s[i].live; r = s[i].rev }	/* insert.6 */
		if
		:: HAS(mine, has) -> goto stored
		:: else
		fi;
#ifdef SAME_NONCE
		if
		:: vacant && said == CONFLICT -> goto write
		:: else
		fi;
#endif
		if
		:: said == CONFLICT -> release(BIT(n))		/* insert.7 */
		:: else ->
#ifdef RELEASE_SILENT
			release(BIT(n))
#endif
			skip
		fi;
		if
		:: !vacant -> failed = failed || silent; break	/* an update of that record, which removes the rest if it writes */
		:: else
		fi;
#else
		break;
#endif
next:		skip
	od;
	goto dead;
stored:
#ifndef KEEP_ABANDONED
	if
	:: !open && has == n -> release(mine & ~BIT(n))		/* insert.8 */
	:: !open && has != n ->
		if
		:: said == CONFLICT -> release(BIT(n))
		:: else
		fi;
		failed = 1					/* the others stay: the read may be older than they are */
	:: else
	fi;
#endif
	skip;
dead:	END
}

proctype Rename(byte i, u) {
	LOCALS;
	atomic {						/* rename.1 */
		if
		:: s[i].live && s[i].user != u -> inc = s[i].inc; r = s[i].rev; own = s[i].own
		:: else -> goto dead
		fi
	}
	do
	:: try == TRIES -> failed = 1; break
	:: else ->
		try++;
		if
		:: n == 0 ->
			atomic { newNonce(); e[n].incarnation = inc }
			do					/* rename.2: the entry */
			:: page = index;
				atomic { contest() }
				if
				:: res == YES
				:: res == NO -> goto dead
				:: res == AGAIN -> failed = 1; goto dead
				fi;
				atomic {
					if
					:: index == page -> index = index | BIT(n);
#ifdef MOVE_ENTRY
						index = index & ~own;
#endif
						check(); break
					:: else
					fi
				}
			od
		:: else
		fi;
		mayCrash();
		atomic {					/* rename.3: the record */
#ifndef NO_LIMIT
			if
			:: e[n].age > 0 -> n = 0; goto again
			:: else
			fi;
#endif
			own = own | BIT(n); e[n].flying++
		}
		put(0);
		atomic { said = res; e[n].flying--; writes = w }
		if
		:: said == OK -> break
		:: else
		fi;
		atomic {					/* rename.4 */
			if
			:: s[i].live && (s[i].wid == writes || s[i].old == writes) -> goto dead
			:: s[i].live && s[i].inc == inc && !(s[i].wid == writes || s[i].old == writes) ->
				r = s[i].rev; own = s[i].own;
				if
				:: s[i].user == u || HAS(own, n) -> goto dead
				:: else
				fi
			:: else ->
				if
				:: said == CONFLICT -> index = index & ~BIT(n); check()
				:: else -> failed = 1
				fi;
				goto dead
			fi
		}
again:		skip
	od;
	if
	:: try == TRIES && said != OK
	:: else -> release(mine & ~BIT(n))
	fi;
dead:	END
}

proctype Delete(byte i, d) {
	LOCALS;
	byte u, met, killed;
	atomic {						/* delete.1: the time */
#ifndef LATE_CLOCK
		early[d] = 1; gi = 1;
		do
		:: gi == N -> gi = 0; break
		:: else -> if :: e[gi].age > 0 && e[gi].flying == 0 -> noted[d] = noted[d] | BIT(gi) :: else fi; gi++
		od
#endif
		skip
	}
	atomic {						/* delete.2 */
		if
		:: !s[i].live && !s[i].tomb -> goto dead
		:: else -> inc = s[i].inc; r = s[i].rev; met = s[i].own
		fi
	}
#ifdef ENTRY_FIRST
	release(met);
#endif
	do
	:: try == TRIES -> failed = 1; goto dead
	:: else ->
		try++;
		mayCrash();
		atomic {					/* delete.3 */
			if
			:: ISAWS && s[i].live && s[i].inc == inc || !ISAWS && s[i].rev == r ->
				assert(!s[i].live || killed == 0 || killed == s[i].inc);	/* delete */
				killed = (s[i].live -> s[i].inc : killed);
				s[i].live = 0; s[i].tomb = !ISAWS; s[i].rev++;
				if
				:: ISAWS -> s[i].inc = 0; s[i].own = 0
				:: else -> r = s[i].rev
				fi;
				if
				:: res = OK
				:: losses < LOSSES -> losses++; res = CONFLICT
				fi
			:: else -> res = CONFLICT
			fi
		}
		if
		:: res == OK -> mayCrash();
			atomic {				/* the tombstone goes */
				if
				:: !ISAWS && s[i].tomb && s[i].rev == r -> s[i].tomb = 0; s[i].inc = 0; s[i].own = 0
				:: else
				fi
			}
			break
		:: else
		fi;
		atomic {					/* delete.4 */
			if
			:: !s[i].live && !s[i].tomb -> break
			:: else ->
#ifndef DELETE_ANY
				if
				:: s[i].inc != inc -> early[d] = 0; goto entries	/* another record: this delete is over */
				:: else
				fi;
#endif
				inc = s[i].inc; r = s[i].rev; met = met | s[i].own
			fi
		}
	od;
#ifdef LATE_CLOCK
	atomic {
		early[d] = 1; noted[d] = 0; gi = 1;
		do
		:: gi == N -> gi = 0; break
		:: else -> if :: e[gi].age > 0 && e[gi].flying == 0 -> noted[d] = noted[d] | BIT(gi) :: else fi; gi++
		od
	}
#endif
entries:
	mayCrash();
	atomic {						/* delete.5 */
		gi = 1;
		do
		:: gi == N -> gi = 0; break
		:: else ->
			if
			:: e[gi].id == i && (HAS(met, gi) || e[gi].incarnation != 0 && HAS(met, e[gi].incarnation) || MAY_DELETE) -> index = index & ~BIT(gi)
			:: else
			fi;
			gi++
		od;
		check()
	}
dead:	atomic { early[d] = 0; noted[d] = 0; met = 0; killed = 0; u = 0 }
	END
}

/* Removes one old entry that no record owns. */
proctype Repair() {
	byte n; bit dead_;
	atomic {						/* repair.2 */
		if
		:: n = 1 :: n = 2 :: n = 3
		fi;
		if
		:: HAS(index, n) && MAY_REPAIR
		:: else -> goto dead
		fi
	}
	atomic { dead_ = !s[e[n].id].tomb && !(s[e[n].id].live && HAS(s[e[n].id].own, n)) }	/* repair.3 */
	if
	:: dead_ -> release(BIT(n))				/* repair.4 */
	:: else
	fi;
dead:	atomic { done++; n = 0; dead_ = 0 }
}

/* Time. */
active proctype Clock() {
	byte n;
end:	do
	:: atomic { aged < AGEING && nonces > 0 ->
		n = 1;
		do
		:: n < nonces -> n++
		:: break
		od;
		if
		:: e[n].age == 0 -> e[n].age = 1; aged++
		:: e[n].age == 1 && e[n].flying == 0 && (!early[0] || HAS(noted[0], n)) && (!early[1] || HAS(noted[1], n)) -> e[n].age = 2; aged++
		:: else
		fi;
		n = 0
	   }
	:: atomic { early[0] -> early[0] = 0 }
	:: atomic { early[1] -> early[1] = 0 }
	od
}

init {
	atomic {
#if START >= 1
		nonces = 1; index = BIT(1); e[1].user = 1;
		s[0].live = 1; s[0].rev = 1; s[0].inc = 1; s[0].user = 1; s[0].own = BIT(1);
#endif
		gi = INSERTS; do :: gi > 0 -> run Insert(0, 1); gi-- :: else -> break od;
		gi = OTHERS;  do :: gi > 0 -> run Insert(1, 1); gi-- :: else -> break od;
		gi = SECONDS; do :: gi > 0 -> run Insert(1, 2); gi-- :: else -> break od;
		gi = RENAMES; do :: gi > 0 -> run Rename(0, 2); gi-- :: else -> break od;
		gi = 0;       do :: gi < DELETES -> run Delete(0, gi); gi++ :: else -> gi = 0; break od;
		gi = REPAIRS; do :: gi > 0 -> run Repair(); gi-- :: else -> break od
	}
	done == INSERTS + OTHERS + SECONDS + RENAMES + DELETES + REPAIRS;
	d_step {
		gi = 1;
		do
		:: gi == N -> break
		:: else -> assert(failed || open || e[gi].flying > 0 || !HAS(index, gi) || s[e[gi].id].live && HAS(s[e[gi].id].own, gi)); gi++	/* leftover */
		od
	}
}

/*
 * Pages of the index: division, join, writers that remember an old way, and readers. docs/index.md, "Pages".
 *
 * Modelled: keys in two halves, a root, and pages that are made as they are needed. The tree begins with the root as a
 * leaf, or (START 1) with the root over two pages. Every step is one read of a node or one write of a node with compare-and-set;
 * a write may be carried out and then be refused, or have no answer; processes die between any two steps. Inner
 * nodes may be remembered for any time: a writer begins at any node that was ever part of the tree and had its key.
 * Left out: sizes and counts of writes (any leaf may be divided or joined at any time), time.
 *
 * What must hold:
 *   tree    the leaves that the root leads to, followed at one moment, have the entries that were written, and no others
 *   found   a reader sees an entry that was there when it began, and is there still
 */
#ifndef NODES
#define NODES 8		/* node 1 is the root */
#endif
#ifndef START
#define START 0
#endif
#ifndef WRITERS
#define WRITERS 0
#endif
#ifndef DIVIDERS
#define DIVIDERS 0
#endif
#ifndef JOINERS
#define JOINERS 0
#endif
#ifndef READERS
#define READERS 0
#endif
#ifndef CRASHES
#define CRASHES 0
#endif
#ifndef LOSSES
#define LOSSES 0
#endif
#ifndef TRIES
#define TRIES 3
#endif

#define BIT(n) (1 << (n))
#define HAS(set, n) (((set) & BIT(n)) != 0)
#define LEFT  1
#define RIGHT 2
#define BOTH  3

/* Entries are bits; the even ones have keys in the left half, the odd ones in the right. */

typedef Node { bit there; bit sealed; byte rev; byte half; byte entries; byte kid[2] }	/* half: its span; kid[0] is 0 in a leaf */
Node node[NODES + 1];
byte made;			/* how many names were given */
byte known[2];			/* the nodes that were ever part of the tree, for each half */

byte want;			/* ghost: the entries that were written */
byte crashes, losses, done;
byte gi, gn, ge;		/* scratch, 0 between steps */

inline check() {
	ge = 0; gi = 0;
	do
	:: gi == 2 -> break
	:: else ->
		gn = 1;
		do
		:: node[gn].kid[0] != 0 -> gn = node[gn].kid[gi]
		:: else -> break
		od;
		assert(node[gn].there || gn == 1);		/* tree */
		ge = ge | node[gn].entries & (gi == 0 -> 21 : 42);
		gi++
	od;
	assert(ge == want);					/* tree */
	gi = 0; gn = 0; ge = 0
}

inline mayCrash() {
	if
	:: true
	:: crashes < CRASHES -> crashes++; goto dead
	fi
}

#define OK       1
#define CONFLICT 2
#define SILENT   3

/* A new page, of which no other process knows yet. */
inline make(pg, whole, span) {
	if
	:: made == NODES -> goto dead				/* here the model ends */
	:: else -> made++; pg = made; node[pg].there = 1; node[pg].entries = whole; node[pg].half = span
	fi
}

/* A write that took effect is reported as it is, or as a conflict with itself, or not at all. */
inline answer() {
	if
	:: res = OK
	:: losses < LOSSES -> losses++; res = CONFLICT
	:: losses < LOSSES -> losses++; res = SILENT
	fi
}

/* Follows the way to the leaf for the half h, reading every node. way[0] is the root; at is the leaf, up its parent, top the parent's. */
inline descend() {
	at = 1; up = 0; top = 0; moved = 0;
	do
	:: atomic {
		rev = node[at].rev; sealed = node[at].sealed; has = node[at].entries; child = node[at].kid[h];
		if
		:: at != 1 && !node[at].there -> moved = 1; break
		:: else
		fi;
		if
		:: child == 0 -> break
		:: else -> top = up; up = at; upRev = rev; upSealed = sealed; at = child
		fi
	   }
	od
}

/* Makes the node nd, at the revision rv, point to na and nb instead of ox and oy. ox is sealed; so is oy, if there is one. */
inline relink(nd, rv, ox, oy, na, nb) {
	atomic {
		if
		:: node[nd].rev == rv && (node[nd].there || nd == 1) && !node[nd].sealed && node[nd].kid[0] != 0 &&
		   (node[nd].kid[0] == ox || node[nd].kid[1] == ox) ->
			if :: node[nd].kid[0] == ox || node[nd].kid[0] == oy -> node[nd].kid[0] = na; known[0] = known[0] | (node[na].half & LEFT -> BIT(na) : 0) :: else fi;
			if :: node[nd].kid[1] == ox || node[nd].kid[1] == oy -> node[nd].kid[1] = nb; known[1] = known[1] | (node[nb].half & RIGHT -> BIT(nb) : 0) :: else fi;
			node[nd].rev++;
			check();
			answer()
		:: else -> res = CONFLICT
		fi
	}
}

/* Deletes a page that was made for nothing. in is the node that was to lead to it. */
inline drop(pg, nd) {
	atomic {
		if
#ifdef DROP_ABSENT
		:: res == CONFLICT && pg != 0 && node[nd].kid[0] != pg && node[nd].kid[1] != pg -> node[pg].there = 0; check()
#else
		:: res == CONFLICT && pg != 0 && (node[nd].there || nd == 1) && !node[nd].sealed &&
		   node[nd].kid[0] != pg && node[nd].kid[1] != pg -> node[pg].there = 0; check()
#endif
		:: else
		fi
	}
}

inline remove(ox) {
	atomic {
		if
		:: ox > 1 -> node[ox].there = 0; node[ox].entries = 0; node[ox].kid[0] = 0; node[ox].kid[1] = 0; check()
		:: else
		fi
	}
}

/* divide.3 for an inner node that is sealed: its pointers take the place of the one to it. */
inline hoist(nn, rr, xx) {
	atomic { p = node[xx].kid[0]; q = node[xx].kid[1] };
	if
	:: p == 0 -> res = CONFLICT				/* it has become a leaf again, or is gone */
	:: else ->
		relink(nn, rr, xx, xx, p, q);
		if
		:: res == OK -> mayCrash(); remove(xx)		/* divide.4 */
		:: else
		fi
	fi
}

#define LOCALS \
	byte at, up, top, rev, upRev, has, child, p, q, res, try, see; bit sealed, upSealed, moved, ok

#define END atomic { done++; at = 0; up = 0; top = 0; rev = 0; upRev = 0; has = 0; child = 0; p = 0; q = 0; res = 0; try = 0; see = 0; \
	sealed = 0; upSealed = 0; moved = 0; ok = 0 }

/* Writes the entry b. */
proctype Writer(byte b, h) {
	LOCALS;
	atomic {						/* the way as it is remembered */
		at = 1;
		do
		:: at < NODES -> at++
		:: HAS(known[h], at) -> break
		:: at == NODES -> goto fresh
		od;
		rev = node[at].rev; sealed = node[at].sealed;
		if
		:: !node[at].there && at != 1 || node[at].kid[0] != 0 -> goto fresh
#ifndef WRITE_SEALED
		:: sealed -> goto fresh
#endif
		:: else -> goto write
		fi
	}
fresh:	do
	:: try == TRIES -> break
	:: else ->
		try++;
		descend();
		if
		:: moved
		:: !moved && upSealed && top != 0 -> rev = node[top].rev; hoist(top, rev, up)
		:: !moved && !(upSealed && top != 0) && sealed ->	/* a page with the same entries takes its place */
			atomic { make(p, has, node[at].half) };
			relink(up, upRev, at, at, p, p);
			if
			:: res == OK -> mayCrash(); remove(at)
			:: else -> drop(p, up)
			fi
		:: else ->
write:			atomic {				/* insert.4 */
				if
				:: node[at].rev == rev && (node[at].there || at == 1) && node[at].kid[0] == 0 ->
					assert(b != 0);
					node[at].entries = node[at].entries | b; node[at].rev++; want = want | b;
					check(); goto dead
				:: else
				fi
			}
		fi;
		mayCrash()
	od;
dead:	END
}

/* Divides the leaf of the half h. */
proctype Divider(byte h) {
	LOCALS;
	descend();
	if
	:: moved || sealed -> goto dead
	:: else
	fi;
	atomic {						/* divide.1 */
		if
		:: node[at].half == BOTH -> make(p, has & 21, LEFT); make(q, has & 42, RIGHT)
		:: else -> make(p, has, node[at].half); q = p		/* one page for one */
		fi
	}
	mayCrash();
	atomic {						/* divide.2 */
		if
		:: node[at].rev == rev && (node[at].there || at == 1) ->
			node[at].kid[0] = p; node[at].kid[1] = q; node[at].entries = 0; node[at].rev++;
			known[0] = known[0] | (node[p].half & LEFT -> BIT(p) : 0); known[1] = known[1] | (node[q].half & RIGHT -> BIT(q) : 0);
			if
			:: at != 1 -> node[at].sealed = 1
			:: at != 1
			:: at == 1
			fi;
			check(); answer()
		:: else -> res = CONFLICT
		fi
	}
	mayCrash();
	if
	:: res != OK -> drop(p, at); if :: q != p -> drop(q, at) :: else fi; goto dead
	:: up == 0 -> goto dead
	:: else
	fi;
	atomic {						/* divide.3 */
#ifndef NO_SEAL_DIVIDE
		if
		:: !node[at].sealed && node[at].there && node[at].kid[0] != 0 -> node[at].sealed = 1; node[at].rev++
		:: node[at].sealed
		:: else -> goto dead
		fi
#endif
		skip
	}
	upRev = node[up].rev;
	hoist(up, upRev, at);
dead:	END
}

/* Joins the two pages of a node. */
proctype Joiner(byte h) {
	LOCALS;
	byte a, b;
	descend();
	if
	:: moved || up == 0 || upSealed -> goto dead
	:: else
	fi;
	atomic {
		a = node[up].kid[0]; b = node[up].kid[1];
		if
		:: a == 0 || a == b || node[up].rev != upRev -> goto dead
		:: else
		fi
	}
	atomic {						/* join.1 */
		if
		:: node[a].there && node[a].kid[0] == 0 -> has = node[a].entries
#ifndef NO_SEAL
			; node[a].rev = node[a].rev + !node[a].sealed; node[a].sealed = 1
#endif
		:: else -> goto dead
		fi
	}
	mayCrash();
	atomic {
		if
		:: node[b].there && node[b].kid[0] == 0 -> has = has | node[b].entries
#ifndef NO_SEAL
			; node[b].rev = node[b].rev + !node[b].sealed; node[b].sealed = 1
#endif
		:: else -> goto dead
		fi
	}
	mayCrash();
	if
	:: true -> atomic { make(p, has, BOTH) };			/* join.2 */
		mayCrash();
		relink(up, upRev, a, b, p, p);			/* join.3 */
		if
		:: res != OK -> drop(p, up); goto dead
		:: else
		fi
	:: true -> atomic {					/* join.3, the parent takes them back */
		if
		:: node[up].rev == upRev && (node[up].there || up == 1) && !node[up].sealed && node[up].kid[0] == a && node[up].kid[1] == b ->
			node[up].kid[0] = 0; node[up].kid[1] = 0; node[up].entries = has; node[up].rev++; check()
		:: else -> goto dead
		fi
	   }
	fi;
	mayCrash();
	remove(a);						/* join.4 */
	mayCrash();
	remove(b);
dead:	atomic { a = 0; b = 0 }
	END
}

/* Reads the half h, by a way that it remembers or from the root. */
proctype Reader(byte h) {
	LOCALS;
	atomic {
		see = want & (h == 0 -> 21 : 42);
		at = 1;
		do
		:: at < NODES -> at++
		:: HAS(known[h], at) -> break
		:: at == NODES -> goto fresh
		od;
		if
		:: !node[at].there && at != 1 || node[at].kid[0] != 0 -> goto fresh
#ifndef READ_SEALED
		:: node[at].sealed -> goto fresh
#endif
		:: else -> has = node[at].entries; goto found
		fi
	}
fresh:	do
	:: try == TRIES -> goto dead
	:: else -> try++; descend(); if :: moved :: else -> break fi
	od;
found:	assert((see & ~has) == 0);				/* found */
dead:	END
}

init {
	atomic {
		node[1].half = BOTH;
		want = 3;					/* an entry in each half */
		known[0] = BIT(1); known[1] = BIT(1);
#if START == 1
		made = 3;
		node[1].kid[0] = 2; node[1].kid[1] = 3;
		node[2].there = 1; node[2].entries = 1; node[2].half = LEFT; node[3].there = 1; node[3].entries = 2; node[3].half = RIGHT;
		known[0] = BIT(1) | BIT(2); known[1] = BIT(1) | BIT(3);
#else
		made = 1;
		node[1].entries = 3;
#endif
		gi = 0; do :: gi < WRITERS -> run Writer((gi == 0 -> 4 : 8), (gi == 0 -> 0 : 1)); gi++ :: else -> break od;
		gi = DIVIDERS; do :: gi > 0 -> run Divider(gi - 1); gi-- :: else -> break od;
		gi = JOINERS; do :: gi > 0 -> run Joiner(0); gi-- :: else -> break od;
		gi = READERS; do :: gi > 0 -> run Reader(gi - 1); gi-- :: else -> break od
	}
	done == WRITERS + DIVIDERS + JOINERS + READERS
}

package vault

import (
	"time"

	"github.com/oauthstore/oauthstore/internal/engine"
)

// sighting is the newest state of a secret that this process has lately written or read; the zero value means that nothing
// was seen.
type sighting struct {
	number int       // of the newest version
	gone   bool      // which was deleted
	behind time.Time // since when reads have shown an older state; zero if the last one has not
}

// newer returns the newer of two states, other if they are the same.
func (s sighting) newer(other sighting) sighting {
	if other.number < s.number || other.number == s.number && s.gone && !other.gone {
		return s
	}
	return other
}

// maxBehind is how long a standby may lag behind. An older state that is read for longer is believed: the secret was
// deleted with its metadata, so that its numbers began again, or a deletion was undone.
const maxBehind = 10 * time.Second

// behind reports whether what a read has shown is from before known, the state that was noted when the read began.
// Performance standbys of Vault Enterprise, and standbys of OpenBao, answer reads from their own state.
func (d *driver) behind(name string, known, shown sighting) (behind bool) {
	if shown == known {
		return false
	}
	behind = known.newer(shown) != shown
	d.seen.Update(name, func(now sighting) sighting {
		switch {
		case !behind:
			return now.newer(shown)
		case now.behind.IsZero():
			now.behind = time.Now()
		case time.Since(now.behind) > maxBehind:
			behind = false
			return shown
		}
		return now
	})
	return behind
}

// lags is the error of a read that is behind.
func (d *driver) lags(name string) error {
	return &engine.Fault{Backend: "vault", Op: "read", Secret: d.FullName(name), Class: engine.ErrBehind, Err: engine.ErrBehind}
}

package gcpsm

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSightings_forgetOneSecretForAnotherWhereThereAreTooMany(t *testing.T) {
	var s sightings
	for i := range maxSightings {
		s.add(fmt.Sprint(i), i+1)
	}
	s.add("1", 100)
	require.Len(t, s.secrets, maxSightings, "one that is known takes no place")
	s.add("new", 7)
	require.Len(t, s.secrets, maxSightings)
	require.Equal(t, 7, s.of("new").newest)
}

func TestVersionNumber_isZeroWhereThereIsNone(t *testing.T) {
	for resource, want := range map[string]int{
		"projects/1/secrets/x/versions/12":     12,
		"projects/1/secrets/x/versions/latest": 0,
		"projects/1/secrets/x/versions/":       0,
		"":                                     0,
	} {
		require.Equal(t, want, versionNumber(resource), resource)
	}
}

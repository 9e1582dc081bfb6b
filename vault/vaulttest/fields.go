package vaulttest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/go-secure-stdlib/parseutil"
	"github.com/mitchellh/mapstructure"
)

// A kind is the type of a parameter. Vault converts weakly: "1", 1 and true are all the integer 1.
type kind int

const (
	boolKind kind = iota
	intKind
	intsKind
	stringKind
	stringsKind
	pairsKind
	mapKind
	durationKind       // in seconds, not negative
	signedDurationKind // in seconds
)

// decodeFields converts the parameters that the endpoint knows.
func (c *call) decodeFields() error {
	c.fields = make(map[string]any)
	for _, name := range sortedKeys(c.data) {
		kind, known := c.endpoint.fields[name]
		if !known || name == c.endpoint.capture {
			continue
		}
		value, err := decodeField(kind, c.data[name])
		if err != nil {
			return fmt.Errorf("error converting input for field %q: %w", name, err)
		}
		if value != nil {
			c.fields[name] = value
		}
	}
	return nil
}

// fieldWarnings names the parameters that have no effect.
func (c *call) fieldWarnings() []string {
	var ignored, warnings []string
	for _, name := range sortedKeys(c.data) {
		if _, known := c.endpoint.fields[name]; !known && c.endpoint.fields != nil {
			ignored = append(ignored, name)
		}
	}
	if len(ignored) > 0 {
		warnings = append(warnings, fmt.Sprintf("Endpoint ignored these unrecognized parameters: %v", ignored))
	}
	if name := c.endpoint.capture; c.data[name] != nil {
		warnings = append(warnings, fmt.Sprintf("Endpoint replaced the value of these parameters with "+
			"the values captured from the endpoint's path: %v", []string{name}))
	}
	return warnings
}

// field returns the parameter, or T's zero value and false where it was not sent.
func field[T any](c *call, name string) (T, bool) {
	v, ok := c.fields[name].(T)
	return v, ok
}

func decodeField(k kind, raw any) (any, error) {
	switch k {
	case boolKind:
		return weakly[bool](raw)
	case intKind:
		return weakly[int](raw)
	case intsKind:
		return decodeInts(raw)
	case stringKind:
		return weakly[string](raw)
	case stringsKind:
		return decodeStrings(raw)
	case pairsKind:
		return decodePairs(raw)
	case mapKind:
		return weakly[map[string]any](raw)
	}
	return decodeSeconds(k, raw)
}

func weakly[T any](raw any) (any, error) {
	var out T
	if err := mapstructure.WeakDecode(raw, &out); err != nil {
		return nil, err
	}
	return out, nil
}

func decodeInts(raw any) (any, error) {
	if n, ok := raw.(json.Number); ok {
		raw = n.String()
	}
	var out []int
	dec, err := mapstructure.NewDecoder(&mapstructure.DecoderConfig{
		Result:           &out,
		WeaklyTypedInput: true,
		DecodeHook:       mapstructure.StringToSliceHookFunc(","),
	})
	if err != nil {
		return nil, err
	}
	return out, dec.Decode(raw)
}

func decodeStrings(raw any) (any, error) {
	if raw == "" {
		return []string{}, nil
	}
	var out []string
	if err := mapstructure.WeakDecode(raw, &out); err != nil {
		return nil, err
	}
	for i := range out {
		out[i] = strings.TrimSpace(out[i])
	}
	return out, nil
}

// decodePairs takes an object of strings, or a list of "key=value".
func decodePairs(raw any) (any, error) {
	var out map[string]string
	if mapstructure.WeakDecode(raw, &out) == nil {
		return out, nil
	}
	var list []string
	if err := mapstructure.WeakDecode(raw, &list); err != nil {
		return nil, err
	}
	out = make(map[string]string, len(list))
	for _, pair := range list {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("invalid key pair %q", pair)
		}
		out[key] = value
	}
	return out, nil
}

// decodeSeconds takes a number of seconds or a duration such as "1h"; null is as if it were not there.
func decodeSeconds(k kind, raw any) (any, error) {
	if raw == nil {
		return nil, nil
	}
	d, err := parseutil.ParseDurationSecond(raw)
	if err != nil {
		return nil, err
	}
	seconds := int(d.Seconds())
	if k == durationKind && seconds < 0 {
		return nil, fmt.Errorf("cannot provide negative value '%d'", seconds)
	}
	return seconds, nil
}

func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}

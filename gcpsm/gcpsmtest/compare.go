package gcpsmtest

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// A comparison is a restriction of a filter but for its value.
type comparison struct {
	path []string
	leaf protoreflect.FieldDescriptor // of the last field in path
	op   string
}

// resolve takes the name of a field in a filter apart, "labels.env" or
// "replication.user_managed.replicas.location". The path is nil if there is no such field.
func resolve(desc protoreflect.MessageDescriptor, field string) ([]string, protoreflect.FieldDescriptor) {
	path := strings.Split(field, ".")
	for i, segment := range path {
		fd := desc.Fields().ByName(protoreflect.Name(segment))
		switch {
		case fd == nil:
			return nil, nil
		case fd.IsMap() && i+1 < len(path):
			key := strings.Join(path[i+1:], ".") // keys may have dots
			return append(path[:i+1], key), fd.MapValue()
		case fd.IsMap():
			return path, fd.MapKey()
		case i+1 == len(path):
			return path, fd
		case fd.Message() == nil:
			return nil, nil
		}
		desc = fd.Message()
	}
	return nil, nil
}

// collect returns the values at path, several where it leads through lists or ends at a map.
func collect(m protoreflect.Message, path []string) []protoreflect.Value {
	fd := m.Descriptor().Fields().ByName(protoreflect.Name(path[0]))
	if !m.Has(fd) {
		return nil
	}
	v, rest := m.Get(fd), path[1:]
	switch {
	case fd.IsMap():
		return entries(v.Map(), rest)
	case fd.IsList():
		var found []protoreflect.Value
		for i := range v.List().Len() {
			found = append(found, within(v.List().Get(i), rest)...)
		}
		return found
	default:
		return within(v, rest)
	}
}

func within(v protoreflect.Value, rest []string) []protoreflect.Value {
	if len(rest) == 0 {
		return []protoreflect.Value{v}
	}
	return collect(v.Message(), rest)
}

// entries returns the value of the key in rest, or all keys.
func entries(m protoreflect.Map, rest []string) []protoreflect.Value {
	var found []protoreflect.Value
	m.Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
		switch {
		case len(rest) == 0:
			found = append(found, k.Value())
		case k.String() == rest[0]:
			found = append(found, v)
		}
		return true
	})
	return found
}

// with completes the restriction: its predicate holds if it does for one of the field's values.
func (c comparison) with(value string) (predicate, error) {
	if value == "*" && (c.op == ":" || c.op == "=") {
		return func(m protoreflect.Message) bool { return len(collect(m, c.path)) > 0 }, nil
	}
	holds, err := c.test(value)
	if err != nil {
		return nil, err
	}
	if c.op == "!=" {
		return func(m protoreflect.Message) bool { return !slices.ContainsFunc(collect(m, c.path), holds) }, nil
	}
	return func(m protoreflect.Message) bool { return slices.ContainsFunc(collect(m, c.path), holds) }, nil
}

// test returns the test of one value of the field. For != it is that of equality.
func (c comparison) test(value string) (func(protoreflect.Value) bool, error) {
	if desc := c.leaf.Message(); desc != nil {
		if desc.FullName() != (&timestamppb.Timestamp{}).ProtoReflect().Descriptor().FullName() {
			return nil, invalid("The filter compares [%s], which has no order and no text.", strings.Join(c.path, "."))
		}
		return c.testTime(value)
	}
	switch c.op {
	case "=", "!=":
		return func(v protoreflect.Value) bool { return textOf(c.leaf, v) == value }, nil
	case ":":
		if c.leaf.Kind() == protoreflect.StringKind {
			return func(v protoreflect.Value) bool { return strings.Contains(v.String(), value) }, nil
		}
		return func(v protoreflect.Value) bool { return textOf(c.leaf, v) == value }, nil
	default:
		return nil, invalid("The filter uses [%s] for [%s], which has no order.", c.op, strings.Join(c.path, "."))
	}
}

// textOf returns a value as a filter writes it: an enum by its name.
func textOf(fd protoreflect.FieldDescriptor, v protoreflect.Value) string {
	if fd.Kind() != protoreflect.EnumKind {
		return v.String()
	}
	value := fd.Enum().Values().ByNumber(v.Enum())
	if value == nil {
		return strconv.Itoa(int(v.Enum()))
	}
	return string(value.Name())
}

func (c comparison) testTime(value string) (func(protoreflect.Value) bool, error) {
	t, err := time.Parse(time.RFC3339Nano, value)
	if err != nil {
		return nil, invalid("The filter compares [%s] with [%s], which is not a time.", strings.Join(c.path, "."), value)
	}
	return func(v protoreflect.Value) bool {
		stamp, ok := v.Message().Interface().(*timestamppb.Timestamp)
		if !ok {
			return false
		}
		order := stamp.AsTime().Compare(t)
		switch c.op {
		case "<":
			return order < 0
		case "<=":
			return order <= 0
		case ">":
			return order > 0
		case ">=":
			return order >= 0
		default:
			return order == 0
		}
	}, nil
}

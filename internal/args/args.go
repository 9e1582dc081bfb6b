// Package args has what all New functions do with their arguments.
package args

import "reflect"

// Apply applies the options to config, and skips nil ones.
func Apply[C any, O ~func(*C)](config *C, options []O) {
	for _, o := range options {
		if o != nil {
			o(config)
		}
	}
}

// IsNil reports whether v is nil, or an interface value that holds a nil pointer or a nil function.
func IsNil(v any) bool {
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Invalid:
		return true
	case reflect.Pointer, reflect.Func:
		return r.IsNil()
	default:
		return false
	}
}

package vaulttest

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
)

// Limits of a listener, see "listener/tcp" in Vault's configuration documentation.
const (
	maxRequestSize   = 32 << 20 // max_request_size
	maxJSONDepth     = 300      // max_json_depth
	maxJSONString    = 1 << 20  // max_json_string_value_length, in bytes as they are sent
	maxObjectEntries = 10_000   // max_json_object_entry_count
	maxArrayElements = 10_000   // max_json_array_element_count
	maxJSONTokens    = 500_000  // max_json_token
)

// checkJSON refuses a body that breaks a limit, or is visibly broken, before it is parsed. Vault
// answers 500 to these, and 413 where the body as such is too large.
func checkJSON(body []byte, readErr error) error {
	scan := &jsonScanner{rest: body}
	err := scan.document()
	switch {
	case readErr != nil && (err == nil || errors.Is(err, errCutShort)):
		return readErr
	case err == nil || errors.Is(err, errNotJSON):
		return nil // what else is wrong with it the parser will say
	}
	return fail(http.StatusInternalServerError, "%s", err)
}

var (
	errNotJSON  = errors.New("not JSON")
	errCutShort = errors.New("malformed JSON, unclosed containers")
)

// A jsonScanner walks over a document without keeping it.
type jsonScanner struct {
	rest   []byte
	depth  int
	tokens int
}

func (s *jsonScanner) document() error {
	if c := s.peek(); c != '{' && c != '[' {
		return nil
	}
	if err := s.value(); err != nil {
		return err
	}
	if c := s.peek(); c != 0 {
		return errors.New("invalid character '" + string(rune(c)) + "' after top-level value")
	}
	return nil
}

func (s *jsonScanner) value() error {
	switch c := s.peek(); {
	case c == 0:
		return errCutShort
	case c == '{' || c == '[':
		return s.container(c)
	case c == '"':
		_, err := s.string()
		return err
	case c == '-' || c >= '0' && c <= '9':
		return s.number()
	case c == 't' || c == 'f' || c == 'n':
		s.word()
		return s.token()
	}
	return errNotJSON
}

func (s *jsonScanner) container(open byte) error {
	s.depth++
	defer func() { s.depth-- }()
	if s.depth > maxJSONDepth {
		return errors.New("JSON input exceeds allowed nesting depth")
	}
	if err := s.take(); err != nil {
		return err
	}
	if open == '{' {
		return s.members()
	}
	return s.elements()
}

func (s *jsonScanner) members() error {
	seen := make(map[string]bool)
	for s.peek() != '}' {
		if s.peek() == 0 {
			return errCutShort
		}
		if err := s.member(seen); err != nil {
			return err
		}
		if more, err := s.comma('}', "invalid character '}' after object key-value pair"); !more {
			return err
		}
	}
	return s.take()
}

func (s *jsonScanner) member(seen map[string]bool) error {
	if s.peek() != '"' {
		return errNotJSON
	}
	text, err := s.string()
	if err != nil {
		return err
	}
	var key string
	if json.Unmarshal(text, &key) != nil {
		return errNotJSON
	}
	if seen[key] {
		return errors.New("duplicate key '" + key + "' in object")
	}
	seen[key] = true
	if len(seen) > maxObjectEntries {
		return errors.New("JSON object exceeds allowed entry count")
	}
	if s.peek() != ':' {
		return s.unexpected()
	}
	if err := s.take(); err != nil {
		return err
	}
	if s.peek() == '}' {
		return errors.New("invalid character '}' after object key")
	}
	return s.value()
}

func (s *jsonScanner) elements() error {
	for n := 1; s.peek() != ']'; n++ {
		if n > maxArrayElements {
			return errors.New("JSON array exceeds allowed element count")
		}
		if err := s.value(); err != nil {
			return err
		}
		if more, err := s.comma(']', "invalid character ']' after array element"); !more {
			return err
		}
	}
	return s.take()
}

// comma steps over what may follow a value in a container. It reports whether to go on, with
// another value or the container's end.
func (s *jsonScanner) comma(end byte, trailing string) (bool, error) {
	switch s.peek() {
	case end:
		return true, nil
	case ',':
	default:
		return false, s.unexpected()
	}
	if err := s.take(); err != nil {
		return false, err
	}
	if s.peek() == end {
		return false, errors.New(trailing)
	}
	return true, nil
}

// string returns the next string as it is written, with its quotes.
func (s *jsonScanner) string() ([]byte, error) {
	end := 1
	for {
		i := bytes.IndexAny(s.rest[end:], `"\`)
		if i < 0 {
			i = len(s.rest) - end
		}
		end += i
		if end-1 > maxJSONString {
			return nil, errors.New("JSON string value exceeds allowed length")
		}
		if end+1 >= len(s.rest) && (end == len(s.rest) || s.rest[end] == '\\') {
			return nil, errUnclosedString
		}
		if s.rest[end] == '"' {
			break
		}
		end += 2 // a backslash and what it escapes
	}
	text := s.rest[:end+1]
	s.rest = s.rest[end+1:]
	return text, s.token()
}

// errUnclosedString is errCutShort in other words.
var errUnclosedString error = cutShort("malformed JSON, unclosed string")

type cutShort string

func (c cutShort) Error() string        { return string(c) }
func (c cutShort) Is(target error) bool { return target == errCutShort }

func (s *jsonScanner) number() error {
	text := s.word()
	if _, err := strconv.ParseFloat(text, 64); err != nil {
		return errors.New("malformed JSON, invalid number syntax for '" + text + "'")
	}
	return s.token()
}

// word steps over everything up to the next delimiter.
func (s *jsonScanner) word() string {
	n := 0
	for n < len(s.rest) && !strings.ContainsRune(" \t\r\n,:]}", rune(s.rest[n])) {
		n++
	}
	text := string(s.rest[:n])
	s.rest = s.rest[n:]
	return text
}

// peek returns the next byte that is not white space, 0 at the end.
func (s *jsonScanner) peek() byte {
	for len(s.rest) > 0 && strings.ContainsRune(" \t\r\n", rune(s.rest[0])) {
		s.rest = s.rest[1:]
	}
	if len(s.rest) == 0 {
		return 0
	}
	return s.rest[0]
}

func (s *jsonScanner) take() error {
	s.rest = s.rest[1:]
	return s.token()
}

func (s *jsonScanner) token() error {
	s.tokens++
	if s.tokens > maxJSONTokens {
		return errors.New("JSON payload exceeds allowed token count")
	}
	return nil
}

func (s *jsonScanner) unexpected() error {
	if s.peek() == 0 {
		return errCutShort
	}
	return errNotJSON
}

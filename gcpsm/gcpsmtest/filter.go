package gcpsmtest

import (
	"strings"
	"unicode"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// A predicate says whether a listed resource passes a filter.
type predicate func(protoreflect.Message) bool

// A filterParser reads the filter language of Google's list methods (AIP-160), in which OR binds
// closer than AND:
//
//	all   = any { "AND" any }
//	any   = one { "OR" one }
//	one   = "NOT" one | "(" all ")" | field operator value
//	value = word | string | "*" | "(" value { "OR" value } ")"
type filterParser struct {
	rest string // what has not been read, without leading space
	desc protoreflect.MessageDescriptor
}

// parseFilter returns what filter says about messages of the type desc.
func parseFilter(filter string, desc protoreflect.MessageDescriptor) (predicate, error) {
	p := &filterParser{strings.TrimSpace(filter), desc}
	matches, err := p.all()
	if err == nil && p.rest != "" {
		err = p.unexpected()
	}
	return matches, err
}

func (p *filterParser) unexpected() error {
	return invalid("The filter is invalid at [%s].", p.rest)
}

func (p *filterParser) all() (predicate, error) {
	return p.chain("AND", p.any, func(a, b predicate) predicate {
		return func(m protoreflect.Message) bool { return a(m) && b(m) }
	})
}

func (p *filterParser) any() (predicate, error) {
	return p.chain("OR", p.one, either)
}

func either(a, b predicate) predicate {
	return func(m protoreflect.Message) bool { return a(m) || b(m) }
}

// chain reads operands with a keyword between them.
func (p *filterParser) chain(keyword string, operand func() (predicate, error), join func(a, b predicate) predicate) (predicate, error) {
	matches, err := operand()
	for err == nil && p.word(keyword) {
		var next predicate
		if next, err = operand(); err == nil {
			matches = join(matches, next)
		}
	}
	return matches, err
}

func (p *filterParser) one() (predicate, error) {
	if p.word("NOT") {
		matches, err := p.one()
		return func(m protoreflect.Message) bool { return !matches(m) }, err
	}
	if p.token("(") {
		return p.closed(p.all)
	}
	return p.restriction()
}

// closed reads what stands before a closing parenthesis.
func (p *filterParser) closed(content func() (predicate, error)) (predicate, error) {
	matches, err := content()
	if err == nil && !p.token(")") {
		err = p.unexpected()
	}
	return matches, err
}

func (p *filterParser) restriction() (predicate, error) {
	field := p.until(func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(`:=<>!()"`, r) })
	path, leaf := resolve(p.desc, field)
	if path == nil {
		return nil, invalid("The filter names a field [%s] that does not exist.", field)
	}
	for _, op := range []string{"<=", ">=", "!=", ":", "=", "<", ">"} {
		if p.token(op) {
			return p.value(comparison{path, leaf, op})
		}
	}
	return nil, p.unexpected()
}

// value reads one value or several in parentheses.
func (p *filterParser) value(c comparison) (predicate, error) {
	if p.token("(") {
		return p.closed(func() (predicate, error) {
			return p.chain("OR", func() (predicate, error) { return p.value(c) }, either)
		})
	}
	if quoted, ok := strings.CutPrefix(p.rest, `"`); ok {
		text, rest, ended := strings.Cut(quoted, `"`)
		if !ended {
			return nil, p.unexpected()
		}
		p.rest = strings.TrimLeftFunc(rest, unicode.IsSpace)
		return c.with(text)
	}
	text := p.until(func(r rune) bool { return unicode.IsSpace(r) || r == '(' || r == ')' })
	if text == "" {
		return nil, p.unexpected()
	}
	return c.with(text)
}

// token reads s if it comes next.
func (p *filterParser) token(s string) bool {
	rest, ok := strings.CutPrefix(p.rest, s)
	if ok {
		p.rest = strings.TrimLeftFunc(rest, unicode.IsSpace)
	}
	return ok
}

// word reads a keyword if it comes next, and not merely a longer word.
func (p *filterParser) word(keyword string) bool {
	rest, ok := strings.CutPrefix(p.rest, keyword)
	if !ok || rest != "" && !unicode.IsSpace(rune(rest[0])) && rest[0] != '(' {
		return false
	}
	return p.token(keyword)
}

// until reads up to the first rune that ends says, or to the end.
func (p *filterParser) until(ends func(rune) bool) string {
	end := strings.IndexFunc(p.rest, ends)
	if end < 0 {
		end = len(p.rest)
	}
	text := p.rest[:end]
	p.rest = strings.TrimLeftFunc(p.rest[end:], unicode.IsSpace)
	return text
}

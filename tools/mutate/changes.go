package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
)

// A change is one edit of one file: instead takes the place of the bytes from..to.
type change struct {
	file     string
	source   []byte
	line     int
	what     string
	from, to int
	instead  string
}

// String is the place of the change and the former line.
func (c change) String() string {
	start := bytes.LastIndexByte(c.source[:c.from], '\n') + 1
	line, _, _ := bytes.Cut(c.source[start:], []byte("\n"))
	return fmt.Sprintf("%s:%d: %s: %s", filepath.Base(c.file), c.line, c.what, strings.TrimSpace(string(line)))
}

// changesOf returns all changes that can be made to a file.
func changesOf(file string) ([]change, error) {
	source, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	fset := token.NewFileSet()
	parsed, err := parser.ParseFile(fset, file, source, 0)
	if err != nil {
		return nil, err
	}
	v := &visitor{fset: fset, file: file, source: source, all: new([]change)}
	ast.Walk(v, parsed)
	return *v.all, nil
}

// A visitor collects the changes of a file. Each function has a visitor of its own, which knows whether the
// function's last result is an error.
type visitor struct {
	fset         *token.FileSet
	file         string
	source       []byte
	returnsError bool
	all          *[]change // shared by the visitors of a file
}

// replace adds a change of the source between two positions.
func (v *visitor) replace(begin, end token.Pos, what, instead string) {
	from, to := v.fset.Position(begin), v.fset.Position(end)
	*v.all = append(*v.all, change{v.file, v.source, from.Line, what, from.Offset, to.Offset, instead})
}

func (v *visitor) negate(condition ast.Expr) {
	from, to := v.fset.Position(condition.Pos()), v.fset.Position(condition.End())
	v.replace(condition.Pos(), condition.End(), "negated", "!("+string(v.source[from.Offset:to.Offset])+")")
}

// Visit implements ast.Visitor.
func (v *visitor) Visit(n ast.Node) ast.Visitor {
	switch n := n.(type) {
	case *ast.FuncDecl:
		return v.within(n.Type)
	case *ast.FuncLit:
		return v.within(n.Type)
	case *ast.IfStmt:
		v.negate(n.Cond)
	case *ast.ForStmt:
		if n.Cond != nil {
			v.negate(n.Cond)
		}
	case *ast.SwitchStmt:
		v.cases(n)
	case *ast.BlockStmt:
		v.statements(n.List)
	case *ast.CaseClause:
		v.statements(n.Body)
	case *ast.CommClause:
		v.statements(n.Body)
	case *ast.BinaryExpr:
		v.operator(n)
	case *ast.ReturnStmt:
		if last := len(n.Results) - 1; v.returnsError && last >= 0 && !isNil(n.Results[last]) {
			v.replace(n.Results[last].Pos(), n.Results[last].End(), "error turned into nil", "nil")
		}
	}
	return v
}

// within returns the visitor for the body of a function.
func (v *visitor) within(f *ast.FuncType) *visitor {
	inner := *v
	inner.returnsError = false
	if f.Results != nil && len(f.Results.List) > 0 {
		last, ok := f.Results.List[len(f.Results.List)-1].Type.(*ast.Ident)
		inner.returnsError = ok && last.Name == "error"
	}
	return &inner
}

// cases negates the conditions of a switch without a tag.
func (v *visitor) cases(n *ast.SwitchStmt) {
	if n.Tag != nil {
		return
	}
	for _, s := range n.Body.List {
		for _, condition := range s.(*ast.CaseClause).List {
			v.negate(condition)
		}
	}
}

// statements drops each statement that a program compiles without.
func (v *visitor) statements(list []ast.Stmt) {
	for _, s := range list {
		switch s := s.(type) {
		case *ast.AssignStmt:
			if s.Tok != token.DEFINE {
				v.replace(s.Pos(), s.End(), "dropped", "")
			}
		case *ast.ExprStmt, *ast.IncDecStmt, *ast.SendStmt, *ast.DeferStmt, *ast.BranchStmt:
			v.replace(s.Pos(), s.End(), "dropped", "")
		}
	}
}

// operator exchanges an operator for its neighbour.
func (v *visitor) operator(n *ast.BinaryExpr) {
	neighbour := map[token.Token]token.Token{
		token.LAND: token.LOR, token.LOR: token.LAND,
		token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR,
		token.ADD: token.SUB, token.SUB: token.ADD,
	}
	if to, ok := neighbour[n.Op]; ok {
		end := n.OpPos + token.Pos(len(n.Op.String()))
		v.replace(n.OpPos, end, n.Op.String()+" became "+to.String(), to.String())
	}
}

func isNil(e ast.Expr) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == "nil"
}

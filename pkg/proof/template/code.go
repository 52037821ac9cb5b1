package template

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/types"
	"maps"
	"regexp"
	"strings"
	"sync"
	"time"

	"golang.org/x/tools/go/packages"
	"golang.org/x/tools/go/ssa"
	"golang.org/x/tools/go/ssa/ssautil"

	"connexease-functions/pkg/telemetry"
)

const (
	module = "connexease-functions/"
	sdk    = "github.com/aws/aws-sdk-go-v2/service/"
)

// code is what the source of one function needs and does.
type code struct {
	variables  map[string]bool  // environment variables that it reads, except those that Lambda sets
	operations map[string]bool  // operations of AWS that it can call, such as dynamodb.PutItem
	indexes    map[string]bool  // indexes that it queries; "" means the table itself
	metrics    map[string]bool  // names of the metrics that it writes
	routes     map[string]bool  // constants of the form METHOD /path
	numbers    map[string]int64 // constants of its main package
}

// duration returns a constant of the function's main package.
func (c *code) duration(name string) (time.Duration, bool) {
	n, ok := c.numbers[name]
	return time.Duration(n), ok
}

// numbersOf returns the constants of a package that are whole numbers.
func numbersOf(p *types.Package) map[string]int64 {
	all := map[string]int64{}
	for _, name := range p.Scope().Names() {
		if k, ok := p.Scope().Lookup(name).(*types.Const); ok {
			if n, exact := constant.Int64Val(constant.ToInt(k.Val())); exact {
				all[name] = n
			}
		}
	}
	return all
}

// source is the deployed code: each function's, by its logical id, and the keys that log lines may
// have.
type source struct {
	functions map[string]*code
	logKeys   map[string]bool
}

// readSource loads and scans the deployed code, once for all tests.
var readSource = sync.OnceValues(scan)

func scan() (*source, error) {
	deployed, err := packages.Load(&packages.Config{Mode: packages.NeedName | packages.NeedImports | packages.NeedDeps, Dir: "../../.."}, "./functions/...")
	if err != nil {
		return nil, err
	}
	var names []string
	packages.Visit(deployed, nil, func(p *packages.Package) {
		if strings.HasPrefix(p.PkgPath, module) {
			names = append(names, p.PkgPath)
		}
	})
	loaded, err := packages.Load(&packages.Config{Mode: packages.LoadSyntax, Dir: "../../.."}, names...)
	if err != nil {
		return nil, err
	}
	if packages.PrintErrors(loaded) > 0 {
		return nil, fmt.Errorf("the functions do not compile")
	}
	program, all := ssautil.Packages(loaded, ssa.InstantiateGenerics)
	program.Build()
	s := &source{functions: map[string]*code{}, logKeys: telemetry.Keys()}
	maps.Copy(s.logKeys, map[string]bool{"message": true, "timestamp": true}) // as the log writes slog's own
	for i, p := range loaded {
		if folder, isFunction := strings.CutPrefix(p.PkgPath, module+"functions/"); isFunction {
			c := &code{
				variables: map[string]bool{}, operations: map[string]bool{}, indexes: map[string]bool{},
				metrics: map[string]bool{}, routes: map[string]bool{}, numbers: numbersOf(p.Types),
			}
			for _, file := range p.Syntax {
				ast.Inspect(file, func(n ast.Node) bool { c.read(p, n); return true })
			}
			if err := c.reach(all[i]); err != nil {
				return nil, err
			}
			s.functions[strings.ToUpper(folder[:1])+folder[1:]+"Function"] = c
		}
	}
	return s, nil
}

var (
	variableName = regexp.MustCompile(`^[A-Z][A-Z0-9_]+$`)
	routeKey     = regexp.MustCompile(`^(GET|POST|PUT|PATCH|DELETE|ANY) /\S+$`)
)

func text(p *packages.Package, e ast.Expr) (string, bool) {
	if v := p.TypesInfo.Types[e].Value; v != nil && v.Kind() == constant.String {
		return constant.StringVal(v), true
	}
	return "", false
}

// read collects variables, metrics and routes from the syntax of a main package.
func (c *code) read(p *packages.Package, n ast.Node) {
	isMetric := func(e ast.Expr) bool {
		t := p.TypesInfo.TypeOf(e)
		return t != nil && types.TypeString(t, nil) == module+"pkg/telemetry.Metric"
	}
	switch n := n.(type) {
	case *ast.CallExpr:
		if len(n.Args) == 0 {
			return
		}
		first, ok := text(p, n.Args[0])
		if !ok {
			return
		}
		if isMetric(n) {
			c.metrics[first] = true
		}
		if readsVariable(p, n) && variableName.MatchString(first) && !setByLambda(first) {
			c.variables[first] = true
		}
	case *ast.CompositeLit:
		if !isMetric(n) {
			return
		}
		for _, element := range n.Elts {
			if field, ok := element.(*ast.KeyValueExpr); ok && types.ExprString(field.Key) == "Name" {
				if name, ok := text(p, field.Value); ok {
					c.metrics[name] = true
				}
			}
		}
	case *ast.BasicLit:
		if route, ok := text(p, n); ok && routeKey.MatchString(route) {
			c.routes[route] = true
		}
	}
}

// readsVariable reports whether a call reads an environment variable: through an injected function,
// package config, or package os.
func readsVariable(p *packages.Package, call *ast.CallExpr) bool {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		_, handedIn := p.TypesInfo.Uses[f].(*types.Var)
		return handedIn
	case *ast.SelectorExpr:
		if method := p.TypesInfo.Selections[f]; method != nil {
			return types.TypeString(method.Recv(), nil) == "*"+module+"pkg/config.Variables"
		}
		name := types.ExprString(f)
		return name == "os.Getenv" || name == "os.LookupEnv"
	}
	return false
}

// setByLambda reports whether Lambda sets a variable (AWS Lambda: "Working with Lambda environment
// variables", defined runtime environment variables).
func setByLambda(name string) bool { return strings.HasPrefix(name, "AWS_LAMBDA_") }

// reach finds the operations that main can reach. Calls through function values and interfaces
// count where the value or the interface is created: that covers everything that can be called, and
// needs no code of other modules.
func (c *code) reach(main *ssa.Package) error {
	seen := map[*ssa.Function]bool{}
	waiting := []*ssa.Function{main.Func("main"), main.Func("init")}
	var failed error
	for len(waiting) > 0 {
		f := waiting[len(waiting)-1]
		waiting = waiting[:len(waiting)-1]
		if f == nil || seen[f] {
			continue
		}
		seen[f] = true
		if operation := operationOf(f); operation != "" {
			c.operations[operation] = true
		}
		for _, block := range f.Blocks {
			for _, instruction := range block.Instrs {
				for _, operand := range instruction.Operands(nil) {
					if called, ok := (*operand).(*ssa.Function); ok {
						waiting = append(waiting, called)
					}
				}
				switch i := instruction.(type) {
				case *ssa.MakeInterface:
					methods, err := callable(main.Prog, i)
					if err != nil {
						failed = err
					}
					waiting = append(waiting, methods...)
				case *ssa.Alloc:
					if err := c.query(i); err != nil {
						failed = err
					}
				}
			}
		}
	}
	return failed
}

// client reports whether a type is the client of an AWS service, and of which.
func client(t types.Type) (service string, is bool) {
	pointer, ok := t.(*types.Pointer)
	if !ok {
		return "", false
	}
	named, ok := pointer.Elem().(*types.Named)
	if !ok || named.Obj().Name() != "Client" || named.Obj().Pkg() == nil {
		return "", false
	}
	return strings.CutPrefix(named.Obj().Pkg().Path(), sdk)
}

// operationOf names the operation that a method of an SDK client calls: one with a context and an
// input. Others, such as Options, call nothing.
func operationOf(f *ssa.Function) string {
	receiver := f.Signature.Recv()
	if receiver == nil || f.Signature.Params().Len() < 2 {
		return ""
	}
	service, is := client(receiver.Type())
	if !is || types.TypeString(f.Signature.Params().At(0).Type(), nil) != "context.Context" {
		return ""
	}
	return service + "." + f.Name()
}

// callable returns the methods of a value that became an interface: all of them, or for an SDK
// client those that the interface has.
func callable(program *ssa.Program, i *ssa.MakeInterface) (methods []*ssa.Function, err error) {
	target := i.Type().Underlying().(*types.Interface)
	_, isClient := client(i.X.Type())
	if isClient && target.Empty() {
		return nil, fmt.Errorf("%s: an SDK client becomes an empty interface, so it is unknown what is called on it", program.Fset.Position(i.Pos()))
	}
	set := program.MethodSets.MethodSet(i.X.Type())
	for n := range set.Len() {
		selection := set.At(n)
		if isClient && types.NewMethodSet(target).Lookup(selection.Obj().Pkg(), selection.Obj().Name()) == nil {
			continue
		}
		methods = append(methods, program.MethodValue(selection))
	}
	return methods, nil
}

// query records which index a dynamodb.QueryInput names.
func (c *code) query(input *ssa.Alloc) error {
	if types.TypeString(input.Type(), nil) != "*"+sdk+"dynamodb.QueryInput" {
		return nil
	}
	index := ""
	for _, use := range *input.Referrers() {
		field, ok := use.(*ssa.FieldAddr)
		if !ok || input.Type().(*types.Pointer).Elem().Underlying().(*types.Struct).Field(field.Field).Name() != "IndexName" {
			continue
		}
		for _, write := range *field.Referrers() {
			store, ok := write.(*ssa.Store)
			if !ok {
				continue
			}
			call, ok := store.Val.(*ssa.Call) // aws.String("name")
			if ok && len(call.Call.Args) == 1 {
				if name, ok := call.Call.Args[0].(*ssa.Const); ok {
					index = constant.StringVal(name.Value)
					continue
				}
			}
			return fmt.Errorf("%s: the index's name is not a constant", input.Parent().Prog.Fset.Position(store.Pos()))
		}
	}
	c.indexes[index] = true
	return nil
}

// Constants returns the constants of a function's main package that are whole numbers, durations in
// nanoseconds, by the function's logical id.
func Constants(function string) (map[string]int64, error) {
	s, err := readSource()
	if err != nil || s.functions[function] == nil {
		return nil, fmt.Errorf("the constants of %s: %w", function, err)
	}
	return s.functions[function].numbers, nil
}

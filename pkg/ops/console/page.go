package console

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/smithy-go"
)

// page is one page. Its file adds it in init, and its template has its name.
type page struct {
	path     string // such as /sends; a pattern of net/http
	title    string
	place    int    // in the navigation, from the left; 0: not in it
	template string // file in pages, without .html; it defines "main"
	laptop   bool   // it is for the stack of make run only
	// show returns what the template finds as .Page.
	show func(*visit) (any, error)
	// actions are what forms of the page do, by the path that they are posted to, such as
	// /sends/cancel.
	actions map[string]action
}

// action is what a form does.
type action struct {
	// do returns what to say on the page that follows, or why it failed.
	do func(*visit) (notice string, err error)
	// reads says that it changes nothing of the stack.
	reads bool
	// sends says that it waits for the send endpoint.
	sends bool
}

var registered []page

func register(p page) { registered = append(registered, p) }

func ordered() []page {
	all := slices.Clone(registered)
	slices.SortFunc(all, func(a, b page) int { return cmp.Or(cmp.Compare(a.place, b.place), strings.Compare(a.path, b.path)) })
	return all
}

// visit is one request for a page or an action.
type visit struct {
	*Console
	ctx     context.Context
	request *http.Request
	session *session
	next    string // where it leads; see lead
}

// query returns a parameter of a page's address.
func (v *visit) query(name string) string { return strings.TrimSpace(v.request.URL.Query().Get(name)) }

// due reports whether a part of the page is asked for: with the page all are, and later those that
// its script reads again.
func (v *visit) due(part string) bool {
	parts := v.request.Header.Get("Parts")
	return parts == "" || slices.Contains(strings.Split(parts, ","), part)
}

// form returns a field of an action's form.
func (v *visit) form(name string) string { return v.request.PostForm.Get(name) }

// lead makes the action end on a page, instead of the one that its form is on; it makes a page lead to
// a different one.
func (v *visit) lead(path string) { v.next = path }

// wrong is an error of what was asked, as opposed to one of the stack.
type wrong struct{ error }

func wrongf(format string, values ...any) error { return wrong{fmt.Errorf(format, values...)} }

func statusOf(err error) int {
	var w wrong
	if errors.As(err, &w) {
		return http.StatusBadRequest
	}
	return http.StatusBadGateway
}

func (c *Console) visit(r *http.Request, limit time.Duration) (*visit, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(r.Context(), limit)
	return &visit{Console: c, ctx: ctx, request: r, session: sessionOf(r.Context())}, cancel
}

func (c *Console) page(p page) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		defer c.watch()() // pages show what came lately, and are read again before the stack is let go
		v, cancel := c.visit(r, patience)
		defer cancel()
		shown, err := p.show(v)
		if err != nil {
			c.fail(w, v.session, statusOf(err), err)
			return
		}
		if v.next != "" {
			http.Redirect(w, r, v.next, http.StatusSeeOther)
			return
		}
		f := frame{Title: p.title, At: p.path, Page: shown}
		if v.due("notice") { // what an action says is for the page that it leads to
			f.Notice = v.session.said()
		}
		c.render(w, v.session, http.StatusOK, p.template, f)
	}
}

// action checks a form before it acts: its token, and for a deployed stack that writing is allowed
// and the stack's name was typed.
func (c *Console) action(a action) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		limit := patience
		if a.sends {
			limit = sendLimit
		}
		v, cancel := c.visit(r, limit)
		defer cancel()
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := r.ParseForm(); err != nil {
			c.fail(w, v.session, http.StatusBadRequest, fmt.Errorf("the form cannot be read: %w", err))
			return
		}
		if !same(v.form("csrf"), v.session.csrf) {
			c.fail(w, v.session, http.StatusForbidden, errors.New("the form is of an earlier session. Open the page again, and repeat it"))
			return
		}
		if err := c.allowed(a, v); err != nil {
			c.fail(w, v.session, http.StatusForbidden, err)
			return
		}
		notice, err := a.do(v)
		if err != nil {
			c.fail(w, v.session, statusOf(err), err)
			return
		}
		v.session.say(notice)
		http.Redirect(w, r, cmp.Or(v.next, back(r)), http.StatusSeeOther) // #nosec G710 -- to this host only
	}
}

func (c *Console) allowed(a action, v *visit) error {
	switch {
	case !c.Deployed() || a.reads:
		return nil
	case !c.Write:
		return errors.New("this console only reads. Start it with -write (WRITE=1 for make) to change something")
	case v.form("stack") != c.Operator.Name():
		return fmt.Errorf("nothing was changed: type the stack's name, %s, next to the button", c.Operator.Name())
	}
	return nil
}

// back returns the page that a form is on.
func back(r *http.Request) string {
	if from, err := url.Parse(r.Header.Get("Referer")); err == nil && from.Host == r.Host && !strings.HasPrefix(from.Path, "//") {
		return from.RequestURI()
	}
	return "/"
}

// link is an entry of the navigation.
type link struct {
	Path, Title string
	Here        bool
}

// frame is what layout.html shows around a page.
type frame struct {
	Title, At string
	Page      any
	Failure   string
	Status    int

	Stack                   string
	Deployed, Masked, Write bool
	Session                 bool
	CSRF, Notice            string
	Links                   []link
	Now                     time.Time
}

func (c *Console) render(w http.ResponseWriter, s *session, status int, name string, f frame) {
	f.Deployed, f.Write, f.Now, f.Status = c.Deployed(), c.Write || !c.Deployed(), time.Now(), status
	if s != nil {
		f.Stack = c.Operator.Name()
		f.Session, f.Masked, f.CSRF = true, s.isMasked(), s.csrf
		for _, p := range c.pages {
			if p.place != 0 {
				path := strings.TrimSuffix(p.path, "{$}")
				f.Links = append(f.Links, link{path, p.title, p.path == f.At || path != "/" && strings.HasPrefix(f.At, path+"/")})
			}
		}
	}
	var out bytes.Buffer
	if err := looks(f.Masked)[name].ExecuteTemplate(&out, "layout", f); err != nil {
		http.Error(w, "the page cannot be written: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = out.WriteTo(w)
}

// fail shows what went wrong, and what to do.
func (c *Console) fail(w http.ResponseWriter, s *session, status int, err error) {
	c.render(w, s, status, "failed", frame{Title: "It failed", Failure: sentence(err)})
}

// sentence says what is wrong, without the details that only AWS's support needs.
func sentence(err error) string {
	text := err.Error()
	var api smithy.APIError
	if errors.As(err, &api) {
		text, _, _ = strings.Cut(text, "operation error ")
		text += api.ErrorCode() + ": " + api.ErrorMessage()
	}
	text = strings.TrimRight(text, ". ")
	if text == "" {
		return "It failed without a reason."
	}
	if strings.Contains(text, "AccessDenied") {
		text += ". Your credentials lack a permission; ops console -help lists those that it needs"
	}
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

// setMask shows or hides personal data for the session.
func setMask(v *visit) (string, error) {
	v.session.mu.Lock()
	defer v.session.mu.Unlock()
	v.session.masked = v.form("masked") == "1"
	return "", nil
}

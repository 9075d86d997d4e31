package http1

import (
	"net/http"
	"net/textproto"
	"net/url"
)

// request is the http.Request of a connection, made once and filled anew for
// each of its requests. What equals the last request's is not made again:
// a client's requests differ in their bodies, rarely in their heads.
type request struct {
	http http.Request
	// empty is what http is set back to: the parts that never change.
	empty http.Request
	body  body

	names, values []string // those of the last request's fields
	shared        []string // backs the header's slices
	target        string
	url           *url.URL
}

// set fills the request. It fails for a target that is no URL.
func (r *request) set(h *head, rest []byte, broken error) error {
	if r.target != string(h.target) || r.url == nil {
		target := string(h.target)
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return err //nolint:wrapcheck // net/http judges the request anew and says what is wrong
		}
		r.target, r.url = target, u
	}
	r.http = r.empty
	r.setHeader(h.fields)
	r.http.URL, r.http.RequestURI = r.url, r.target
	r.http.ContentLength = int64(h.length)
	r.http.Host = again(r.http.Host, h.host)
	r.empty.Host = r.http.Host
	r.body = body{rest: rest, end: broken}
	r.http.Body = &r.body
	if h.length == 0 {
		r.http.Body = http.NoBody
	}
	return nil
}

// setHeader makes the header, unless all its fields are those of last time.
func (r *request) setHeader(fields []field) {
	if !r.update(fields) && r.http.Header != nil {
		return
	}
	header := make(http.Header, len(fields))
	r.shared = make([]string, 0, len(fields))
	for i, name := range r.names {
		if lines, isThere := header[name]; isThere {
			header[name] = append(lines, r.values[i])
			continue
		}
		r.shared = append(r.shared, r.values[i])
		at := len(r.shared)
		header[name] = r.shared[at-1 : at : at]
	}
	r.http.Header, r.empty.Header = header, header
}

// update keeps the texts of the fields, and says whether any of them is new.
func (r *request) update(fields []field) bool {
	isNew := len(fields) != len(r.names)
	for len(r.names) < len(fields) {
		r.names, r.values = append(r.names, ""), append(r.values, "")
	}
	r.names, r.values = r.names[:len(fields)], r.values[:len(fields)]
	for i, f := range fields {
		if !is(f.name, r.names[i]) {
			r.names[i] = textproto.CanonicalMIMEHeaderKey(string(f.name))
			isNew = true
		}
		if r.values[i] != string(f.value) {
			r.values[i] = string(f.value)
			isNew = true
		}
	}
	return isNew
}

// again is b as a string: old, where that is the same.
func again(old string, b []byte) string {
	if old == string(b) {
		return old
	}
	return string(b)
}

// body is what was read of a request's body.
type body struct {
	rest []byte
	end  error // why there is no more, io.EOF at the end
}

func (b *body) Read(p []byte) (int, error) {
	if len(b.rest) == 0 {
		return 0, b.end
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

func (b *body) Close() error { return nil }

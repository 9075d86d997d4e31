package clustertest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	core "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
)

// imitationNamespace is the only namespace that an imitation has.
const imitationNamespace = "tenant"

// imitation is as much of an API server as ConfigMaps and Secrets need.
type imitation struct {
	server  *httptest.Server
	mu      sync.Mutex
	version int
	objects map[string]*object // by kind and name
	roles   map[string][]rbac.Role
}

// object is a ConfigMap or a Secret; both have these fields.
type object struct {
	meta.TypeMeta   `json:",inline"`
	meta.ObjectMeta `json:"metadata"`
	Data            map[string]json.RawMessage `json:"data,omitempty"`
	Immutable       *bool                      `json:"immutable,omitempty"`
	Type            core.SecretType            `json:"type,omitempty"`
}

func newImitation(t *testing.T) *imitation {
	t.Helper()
	s := &imitation{objects: map[string]*object{}, roles: map[string][]rbac.Role{}}
	s.server = httptest.NewTLSServer(s)
	t.Cleanup(s.server.Close)
	return s
}

func (s *imitation) config() *rest.Config {
	certificate := s.server.Certificate()
	return &rest.Config{Host: s.server.URL, QPS: -1, TLSClientConfig: rest.TLSClientConfig{CAData: pemOf(certificate.Raw)}}
}

func (s *imitation) grant(user string, roles []rbac.Role) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.roles[user] = roles
}

// ServeHTTP answers /api/v1/namespaces/NAMESPACE/RESOURCE[/NAME].
func (s *imitation) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/api/v1/namespaces/"), "/")
	if len(parts) < 2 || !slices.Contains([]string{"configmaps", "secrets"}, parts[1]) {
		reply(w, http.StatusNotFound, nil)
		return
	}
	resource, name := parts[1], strings.Join(parts[2:], "/")
	verb := map[string]string{http.MethodGet: "get", http.MethodPost: "create", http.MethodPut: "update"}[r.Method]
	if verb == "get" && name == "" {
		verb = "list"
	}
	group := schema.GroupResource{Resource: resource}
	if !s.allowed(r.Header.Get("Impersonate-User"), verb, resource, name) {
		fail(w, apierrors.NewForbidden(group, name, fmt.Errorf("user %q cannot %s it", r.Header.Get("Impersonate-User"), verb)))
		return
	}
	switch verb {
	case "list":
		s.list(w, r, resource)
	case "get":
		if found := s.objects[resource+"/"+name]; found != nil {
			reply(w, http.StatusOK, found)
		} else {
			fail(w, apierrors.NewNotFound(group, name))
		}
	default:
		s.write(w, r, group, name)
	}
}

// allowed looks into the user's Roles as RBAC does; who impersonates nobody is
// an administrator.
func (s *imitation) allowed(user, verb, resource, name string) bool {
	if user == "" {
		return true
	}
	for _, role := range s.roles[user] {
		for _, rule := range role.Rules {
			if slices.Contains(rule.Verbs, verb) && slices.Contains(rule.Resources, resource) &&
				(len(rule.ResourceNames) == 0 || slices.Contains(rule.ResourceNames, name)) {
				return true
			}
		}
	}
	return false
}

func (s *imitation) write(w http.ResponseWriter, r *http.Request, group schema.GroupResource, name string) {
	var given struct {
		object
		Strings map[string]string `json:"stringData"`
	}
	if err := json.NewDecoder(r.Body).Decode(&given); err != nil {
		fail(w, apierrors.NewBadRequest(err.Error()))
		return
	}
	wanted := given.object
	for key, value := range given.Strings {
		if wanted.Data == nil {
			wanted.Data = map[string]json.RawMessage{}
		}
		wanted.Data[key], _ = json.Marshal([]byte(value)) // bytes are always written
	}
	if !strings.HasPrefix(r.URL.Path, "/api/v1/namespaces/"+imitationNamespace+"/") {
		fail(w, apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, wanted.Namespace))
		return
	}
	key := group.Resource + "/" + wanted.Name
	is := s.objects[key]
	switch {
	case name == "" && is != nil:
		fail(w, apierrors.NewAlreadyExists(group, wanted.Name))
		return
	case name != "" && is == nil:
		fail(w, apierrors.NewNotFound(group, name))
		return
	case name != "" && is.ResourceVersion != wanted.ResourceVersion:
		fail(w, apierrors.NewConflict(group, name, fmt.Errorf("version %s is not the newest", wanted.ResourceVersion)))
		return
	case name != "" && is.Immutable != nil && *is.Immutable:
		fail(w, apierrors.NewInvalid(schema.GroupKind{Kind: group.Resource}, name, nil))
		return
	}
	s.version++
	wanted.ResourceVersion, wanted.UID = strconv.Itoa(s.version), types.UID(strconv.Itoa(s.version))
	if r.URL.Query().Get("dryRun") == "" {
		s.objects[key] = &wanted
	}
	reply(w, http.StatusCreated, &wanted)
}

func (s *imitation) list(w http.ResponseWriter, r *http.Request, resource string) {
	label, value, _ := strings.Cut(r.URL.Query().Get("labelSelector"), "=")
	var names []string
	for key, object := range s.objects {
		if strings.HasPrefix(key, resource+"/") && (label == "" || object.Labels[label] == value) {
			names = append(names, key)
		}
	}
	slices.Sort(names)
	begin, _ := strconv.Atoi(r.URL.Query().Get("continue")) // 0 where there is none
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	end := len(names)
	if limit > 0 {
		end = min(end, begin+limit)
	}
	page := struct {
		meta.TypeMeta `json:",inline"`
		meta.ListMeta `json:"metadata"`
		Items         []*object `json:"items"`
	}{Items: []*object{}}
	page.ResourceVersion = strconv.Itoa(s.version)
	for _, name := range names[min(begin, end):end] {
		page.Items = append(page.Items, s.objects[name])
	}
	if end < len(names) {
		page.Continue = strconv.Itoa(end)
	}
	reply(w, http.StatusOK, page)
}

func fail(w http.ResponseWriter, err *apierrors.StatusError) {
	err.ErrStatus.TypeMeta = meta.TypeMeta{APIVersion: "v1", Kind: "Status"}
	reply(w, int(err.ErrStatus.Code), err.ErrStatus)
}

func reply(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // the client sees a cut answer
}

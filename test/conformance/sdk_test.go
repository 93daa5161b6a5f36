package conformance

import (
	"errors"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"borealis/test/e2e"
)

// sdk is one of the vendor's libraries, as its users install it.
type sdk struct {
	shape
	// name is the column of the matrix.
	name string
	// of is set where the library of a column is only configured in another way: the column that must come out the same.
	of string
	// noStatus: errors do not show the HTTP status. noCodeOf401: nor the code, if the status is 401.
	noStatus, noCodeOf401 bool
	// newAlias: the library asks for the new format of aliases.
	newAlias bool
	// cidFirst: a schedule begins with a call of the push API, which then refuses wrong credentials.
	cidFirst bool
	// rare: not every mirror of the package registry has the library; where it is missing that is told and counted.
	rare bool
	// checks: arguments out of range are refused by the library itself, with this type of error.
	checks string
	// uploadErrors: the refusal of an upload is not an error but a member of the result.
	uploadErrors bool
	// bugs are the library's own, by call.
	bugs map[string]defect
	// command prepares its process; config is what its first line says, beside the credentials.
	command func(t testing.TB, n *e2e.Node, ca *authority) (cmd *exec.Cmd, config object)
}

// start runs the library with these credentials.
func (l sdk) start(t testing.TB, n *e2e.Node, ca *authority, logins map[string]login) *driver {
	t.Helper()
	cmd, config := l.command(t, n, ca)
	config["credentials"] = logins
	return startDriver(t, cmd, config)
}

// portOf is the port that a node serves HTTP on.
func portOf(t testing.TB, n *e2e.Node) string {
	t.Helper()
	address, err := url.Parse(n.URL)
	if err != nil {
		t.Fatal(err)
	}
	return address.Port()
}

// resolved are the variables with which a client finds the vendor's names at the node.
func resolved(t testing.TB, n *e2e.Node) []string {
	t.Helper()
	return []string{"NODE_PORT=" + portOf(t, n), "VENDOR_HOSTS=" + strings.Join(vendorHosts, ",")}
}

// nodeSDK is a package of node/package.json. It has no option for an address.
func nodeSDK(module, style string) func(testing.TB, *e2e.Node, *authority) (*exec.Cmd, object) {
	return func(t testing.TB, n *e2e.Node, ca *authority) (*exec.Cmd, object) {
		t.Helper()
		cmd := nodeScript(t, "sdk.cjs")
		cmd.Env = append(cmd.Env, append(resolved(t, n), "NODE_EXTRA_CA_CERTS="+ca.caFile, "NODE_OPTIONS=--require=./node/vendorhosts.cjs")...)
		return cmd, object{"library": module, "style": style}
	}
}

// pythonSDK is the library in a zone of its table of addresses.
func pythonSDK(zone string) func(testing.TB, *e2e.Node, *authority) (*exec.Cmd, object) {
	return func(t testing.TB, n *e2e.Node, ca *authority) (*exec.Cmd, object) {
		t.Helper()
		cmd := python(t)
		cmd.Env = append(cmd.Env, append(resolved(t, n), "REQUESTS_CA_BUNDLE="+ca.caFile)...)
		return cmd, object{"zone": zone}
	}
}

// pythonTable is the library with its table of addresses overwritten, as docs/integrate/jpush.md says.
func pythonTable(t testing.TB, n *e2e.Node, ca *authority) (*exec.Cmd, object) {
	t.Helper()
	cmd := python(t)
	// The calls of the admin API have the vendor's name built in.
	cmd.Env = append(cmd.Env, append(resolved(t, n), "REQUESTS_CA_BUNDLE="+ca.caFile)...)
	u := "https://api.jpush.cn/v3/"
	return cmd, object{"zones": object{"DEFAULT": object{
		"PUSH": u, "REPORT": u, "DEVICE": u + "devices/", "ALIAS": u + "aliases/", "TAG": u + "tags/", "SCHEDULE": u + "schedules/",
	}}}
}

func python(t testing.TB) *exec.Cmd {
	t.Helper()
	need(t, "python3", "python3-venv python3-pip")
	program, err := pythonEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, filepath.Join("python", "driver.py"))
	cmd.Env = onlyEnv("PYTHONPATH=python", "PYTHONDONTWRITEBYTECODE=1", "PYTHONIOENCODING=utf-8")
	return cmd
}

// javaSDK is a client of java/, told an address. One that verifies certificates finds ours in a trust store.
func javaSDK(client string) func(testing.TB, *e2e.Node, *authority) (*exec.Cmd, object) {
	classes := sync.OnceValues(func() (string, error) { return javaClasses(client) })
	return func(t testing.TB, n *e2e.Node, ca *authority) (*exec.Cmd, object) {
		t.Helper()
		java := need(t, "java", "default-jdk-headless")
		need(t, "javac", "default-jdk-headless")
		keytool := need(t, "keytool", "default-jdk-headless")
		need(t, "mvn", "maven")
		path, err := classes()
		if errors.Is(err, errNotServed) {
			notRun(t, client, err)
		}
		if err != nil {
			t.Fatal(err)
		}
		store := filepath.Join(t.TempDir(), "trust.p12")
		made := exec.Command(keytool, "-importcert", "-noprompt", "-alias", "ca", "-file", ca.caFile, "-keystore", store,
			"-storetype", "PKCS12", "-storepass", "changeit")
		if out, err := made.CombinedOutput(); err != nil {
			t.Fatalf("keytool: %v\n%s", err, out)
		}
		cmd := exec.Command(java, "-XX:TieredStopAtLevel=1", "-Djavax.net.ssl.trustStore="+store,
			"-Djavax.net.ssl.trustStorePassword=changeit", "-cp", path, "Driver")
		cmd.Env = onlyEnv("HOME=" + os.TempDir())
		return cmd, object{"url": n.URL}
	}
}

// sdks are all libraries.
var sdks = []sdk{
	{name: "Java jiguang-sdk 5.3.0", rare: true, shape: shape{typed: true, hides: []string{"illegal_rids"}}, newAlias: true, command: javaSDK("jiguang-sdk")},
	{
		name: "Java jpush-client 3.7.7", checks: "IllegalArgumentException", cidFirst: true, uploadErrors: true,
		shape:   shape{typed: true, hides: []string{"mobile", "illegal_rids", "master_secret", "error"}},
		bugs:    jpushClientBugs,
		command: javaSDK("jpush-client"),
	},
	{name: "Node jpush-async 4.2.0", noStatus: true, bugs: asyncBugs, command: nodeSDK("jpush-async", "promise")},
	{name: "Node jpush-async 4.1.0", command: nodeSDK("jpush-async-4.1", "promise")},
	{name: "Node jpush-async 4.1.0, callbacks", command: nodeSDK("jpush-async-4.1", "callback")},
	{name: "Node jpush-sdk 3.5.0", command: nodeSDK("jpush-sdk", "callback")},
	{name: "Python jpush 3.4.1", noCodeOf401: true, bugs: pythonBugs, command: pythonSDK("default")},
	{name: "Python jpush 3.4.1, zone BJ", of: "Python jpush 3.4.1", noCodeOf401: true, bugs: pythonBugs, command: pythonSDK("BJ")},
	{name: "Python jpush 3.4.1, own table", of: "Python jpush 3.4.1", noCodeOf401: true, bugs: pythonBugs, command: pythonTable},
}

// The vendor's libraries, unmodified. What becomes of each call of each is the matrix in docs/compatibility.md.
func TestVendorLibraries(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	n := startTLS(t, ca)
	_ = os.Remove(filepath.Join("..", "..", "bin", "not-run"))
	var mu sync.Mutex
	outcomes := map[string]map[string]string{}
	t.Cleanup(func() { checkMatrix(t, outcomes) }) // when all have run
	for _, library := range sdks {
		t.Run(library.name, func(t *testing.T) {
			t.Parallel()
			got := newSession(t, n, library, ca).run(t)
			mu.Lock()
			defer mu.Unlock()
			outcomes[library.name] = got
		})
	}
}

// The option proxy of the newest Node library replaces address and path of every call: with it the promise API can push
// to any server, without TLS too.
func TestVendorLibraryWithProxy(t *testing.T) {
	t.Parallel()
	n := start(t)
	s := newSession(t, n, sdk{noStatus: true, command: func(t testing.TB, n *e2e.Node, _ *authority) (*exec.Cmd, object) {
		t.Helper()
		return nodeScript(t, "sdk.cjs"), object{"library": "jpush-async", "style": "promise", "proxy": n.URL + "/v3/push"}
	}}, nil)
	s.pushed("push", to([]string{s.android, s.ios}), s.android, s.ios)
	s.pushed("push.raw", object{"body": alert("hello", s.android)}, s.android)
	s.refused("app", "push", audience(object{"tag": list{"nobody"}}), 400, 1011)
	s.credentials("push", to([]string{s.android}), pushCodes)
}

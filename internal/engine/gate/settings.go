package gate

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Settings of one app. The struct is the only definition: names, defaults and bounds are its tags, and documentation,
// `app set` and the stored form follow from it. Supported field types: bool, int, []netip.Prefix, and string: with oneof its values are listed, with free it is any text of
// at most so many bytes that passes check.
//
//nolint:recvcheck // values are marshalled, pointers are changed
type Settings struct {
	OfflineMessages    int            `name:"offline_messages" default:"5" min:"0" max:"10000" help:"newest messages a device gets when it connects; older ones are displaced; 0: all"`
	DefaultTTL         int            `name:"default_ttl" default:"86400" min:"0" max:"864000" help:"seconds a push lives that names no time_to_live"`
	MaxTTL             int            `name:"max_ttl" default:"864000" min:"60" max:"2592000" help:"seconds a push may live at most; longer ones are cut to this"`
	DeviceAlias        string         `name:"device_alias" default:"device" oneof:"device server" help:"who may set an alias: the device itself, or only the server API"`
	Registration       string         `name:"registration" default:"open" oneof:"open signed" help:"who may register: whoever knows the AppKey, or devices with a token signed by the app's backend"`
	AliasDevices       int            `name:"alias_devices" default:"10" min:"0" max:"100000" help:"devices one alias may have; 0: any number"`
	StrictKeys         bool           `name:"strict_keys" default:"false" help:"refuse unknown keys inside options and third_party_channel too"`
	KeepAlive          int            `name:"keep_alive" default:"240" min:"10" max:"3600" help:"seconds between signs of life recommended to devices"`
	PushRate           int            `name:"push_rate" default:"0" min:"0" max:"10000000" help:"push API calls per minute; 0: off"`
	DeviceRate         int            `name:"device_rate" default:"0" min:"0" max:"10000000" help:"device API calls per minute; 0: off"`
	ReportRate         int            `name:"report_rate" default:"0" min:"0" max:"10000000" help:"report API calls per minute; 0: off"`
	ScheduleRate       int            `name:"schedule_rate" default:"0" min:"0" max:"10000000" help:"schedule API calls per minute; 0: off"`
	FileRate           int            `name:"file_rate" default:"0" min:"0" max:"10000000" help:"file API calls per minute; 0: off"`
	RegisterRate       int            `name:"register_rate" default:"0" min:"0" max:"10000000" help:"device registrations per minute; 0: off"`
	BroadcastCap       int            `name:"broadcast_cap" default:"0" min:"0" max:"1000000" help:"pushes to everybody per day; 0: off"`
	Schedules          int            `name:"schedules" default:"1000" min:"0" max:"100000" help:"schedules the app may have that will still fire"`
	Zone               string         `name:"zone" default:"Asia/Shanghai" free:"64" check:"zone" help:"time zone of the times that calls give and get without one, and of calendar days"`
	PaidCalls          bool           `name:"paid_calls" default:"true" help:"allow the calls that the vendor sells: messages, messages/detail and users of the report API, and pushes to groups; false: code 2006"`
	CallbackURL        string         `name:"callback_url" free:"2048" check:"url" help:"address that receives the receipts of pushes that name none; empty: none"`
	CallbackTypes      int            `name:"callback_types" default:"7" min:"0" max:"15" help:"receipts that are sent, added up: 1 delivered, 2 clicked, 4 not delivered, 8 accepted"`
	CallbackBasic      bool           `name:"callback_basic" default:"false" help:"send AppKey and master secret with the receipts to callback_url, as the vendor does; never to the address that a push names"`
	RelayJPush         bool           `name:"relay_jpush" default:"false" help:"forward accepted pushes to Jiguang for imported devices that have not moved over yet"`
	VendorDistribution string         `name:"vendor_distribution" default:"secondary_push" oneof:"jpush secondary_push first_ospush ospush" help:"how pushes share devices between our own connections and the channels of vendors, unless third_party_channel says it. jpush: our own alone; secondary_push: the vendor when a device is away or silent; first_ospush: the vendor first; ospush: the vendor alone"`
	VendorAfter        int            `name:"vendor_after" default:"10" min:"2" max:"3600" help:"seconds after which a connected device that did not acknowledge a push gets it through a vendor's channel"`
	IPAllow            []netip.Prefix `name:"ip_allow" help:"addresses and networks that may call the server API, separated by commas; empty: all"`
}

// VendorFreeTier sets the limits of the vendor's free plan, for who wants to find out whether a caller lives with them.
func (s *Settings) VendorFreeTier() {
	s.PushRate, s.DeviceRate, s.ReportRate, s.ScheduleRate, s.FileRate = 600, 600, 2400, 100, 20
	s.BroadcastCap, s.Schedules = 10, 100
}

// DefaultSettings are those of a new app.
func DefaultSettings() Settings {
	var s Settings
	s.each(func(f reflect.StructField, v reflect.Value) {
		if text, ok := f.Tag.Lookup("default"); ok {
			if err := setField(f, v, text); err != nil {
				panic("gate: default of " + f.Name + ": " + err.Error()) // a mistake in the tags above; every test meets it
			}
		}
	})
	return s
}

// Set changes one setting by its name. The error says what would be accepted.
func (s *Settings) Set(name, value string) error {
	err := fmt.Errorf("there is no setting %q; `borealis app show` lists them", name)
	s.each(func(f reflect.StructField, v reflect.Value) {
		if f.Tag.Get("name") == name {
			if err = setField(f, v, value); err != nil {
				err = fmt.Errorf("%s: %w", name, err)
			}
		}
	})
	return err
}

// Setting describes one setting and its value.
type Setting struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	Default string `json:"default"`
	Help    string `json:"help"`
}

// List is all settings in order of definition.
func (s Settings) List() []Setting {
	var out []Setting
	s.each(func(f reflect.StructField, v reflect.Value) {
		out = append(out, Setting{Name: f.Tag.Get("name"), Value: text(v), Default: f.Tag.Get("default"), Help: f.Tag.Get("help")})
	})
	return out
}

// MarshalJSON writes the settings that differ from their defaults, as name → text, so that a changed default reaches
// apps that never chose.
func (s Settings) MarshalJSON() ([]byte, error) {
	m := map[string]string{}
	for _, x := range s.List() {
		if x.Value != x.Default {
			m[x.Name] = x.Value
		}
	}
	return json.Marshal(m)
}

// UnmarshalJSON reads what MarshalJSON wrote. A name that this version does not know is ignored.
func (s *Settings) UnmarshalJSON(data []byte) error {
	var m map[string]string
	if err := json.Unmarshal(data, &m); err != nil {
		return err
	}
	*s = DefaultSettings()
	for _, x := range s.List() {
		if value, ok := m[x.Name]; ok {
			if err := s.Set(x.Name, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// AllowsIP reports whether the server API may be called from the address.
func (s Settings) AllowsIP(ip netip.Addr) bool {
	if len(s.IPAllow) == 0 {
		return true
	}
	for _, p := range s.IPAllow {
		if p.Contains(ip.Unmap()) {
			return true
		}
	}
	return false
}

func (s *Settings) each(visit func(reflect.StructField, reflect.Value)) {
	v := reflect.ValueOf(s).Elem()
	for i := range v.NumField() {
		visit(v.Type().Field(i), v.Field(i))
	}
}

func setField(f reflect.StructField, v reflect.Value, value string) error {
	switch v.Interface().(type) {
	case bool:
		b, err := strconv.ParseBool(value)
		if err != nil {
			return fmt.Errorf("%q is not true or false", value)
		}
		v.SetBool(b)
	case int:
		n, err := strconv.Atoi(value)
		lo, _ := strconv.Atoi(f.Tag.Get("min"))
		hi, _ := strconv.Atoi(f.Tag.Get("max"))
		if err != nil || n < lo || n > hi {
			return fmt.Errorf("%q is not a number from %d to %d", value, lo, hi)
		}
		v.SetInt(int64(n))
	case string:
		if err := checkText(f.Tag, value); err != nil {
			return err
		}
		v.SetString(value)
	case []netip.Prefix:
		prefixes, err := parsePrefixes(value)
		if err != nil {
			return err
		}
		v.Set(reflect.ValueOf(prefixes))
	}
	return nil
}

// checkText tells whether a string may have a value, by the tags of its field.
func checkText(tag reflect.StructTag, value string) error {
	free, isFree := tag.Lookup("free")
	if !isFree {
		if !slices.Contains(strings.Fields(tag.Get("oneof")), value) {
			return fmt.Errorf("%q is not one of: %s", value, tag.Get("oneof"))
		}
		return nil
	}
	if limit, _ := strconv.Atoi(free); len(value) > limit {
		return fmt.Errorf("has %d bytes, at most %d are allowed", len(value), limit)
	}
	switch tag.Get("check") {
	case "zone":
		if _, err := time.LoadLocation(value); err != nil || value == "" || value == "Local" {
			return fmt.Errorf("%q is not a time zone like Asia/Shanghai", value)
		}
	case "url":
		u, err := url.Parse(value)
		if value != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil) {
			return fmt.Errorf("%q is not an address that begins with http:// or https://, without credentials", value)
		}
	}
	return nil
}

// Location is the time zone of the app. Every stored value has been looked up before.
func (s Settings) Location() *time.Location {
	zone, err := time.LoadLocation(s.Zone)
	if err != nil { // the zone data of the machine shrank
		return time.UTC
	}
	return zone
}

// maxPrefixes bounds an allow-list: it is searched on every call.
const maxPrefixes = 256

func parsePrefixes(value string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for part := range strings.SplitSeq(value, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		p, err := netip.ParsePrefix(part)
		if err != nil {
			ip, ipErr := netip.ParseAddr(part)
			if ipErr != nil {
				return nil, fmt.Errorf("%q is neither an address nor a network like 10.0.0.0/8", part)
			}
			p = netip.PrefixFrom(ip.Unmap(), ip.Unmap().BitLen())
		}
		if out = append(out, p.Masked()); len(out) > maxPrefixes {
			return nil, fmt.Errorf("more than %d networks", maxPrefixes)
		}
	}
	return out, nil
}

func text(v reflect.Value) string {
	if prefixes, ok := reflect.TypeAssert[[]netip.Prefix](v); ok {
		parts := make([]string, len(prefixes))
		for i, p := range prefixes {
			parts[i] = p.String()
		}
		return strings.Join(parts, ",")
	}
	return fmt.Sprint(v.Interface())
}

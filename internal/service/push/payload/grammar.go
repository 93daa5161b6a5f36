package payload

// MaxRegistrationIDBytes is the longest text looked up as a registration id.
const MaxRegistrationIDBytes = 64

// MaxCIDBytes is the longest idempotency key accepted.
const MaxCIDBytes = 128

// NewCID is the idempotency key made of an AppKey and a UUID, as the cid endpoint hands it out.
func NewCID(appKey, uuid string) string { return appKey + "-" + uuid }

// ValidCID says whether cid may be used with the app: the AppKey, a dash and something more, at most MaxCIDBytes of
// visible ASCII in all. Keys that were never handed out are as good as those that were.
func ValidCID(appKey, cid string) bool {
	if len(cid) > MaxCIDBytes || len(cid) < len(appKey)+2 || cid[:len(appKey)] != appKey || cid[len(appKey)] != '-' {
		return false
	}
	for i := range len(cid) {
		if cid[i] <= ' ' || cid[i] > '~' {
			return false
		}
	}
	return true
}

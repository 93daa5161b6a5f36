package image

import "strings"

// kind is the image_type of the API.
type kind int

// Kinds of images.
const (
	bigPicture kind = 1
	largeIcon  kind = 2
	smallIcon  kind = 3
)

// kinds is a set of them.
type kinds uint8

func of(list ...kind) (s kinds) {
	for _, k := range list {
		s |= 1 << k
	}
	return s
}

func (s kinds) has(k kind) bool { return s&(1<<k) != 0 }

// vendor is a channel that shows pictures.
type vendor struct {
	name string
	// shows are the kinds it can show; an address for another kind is not kept and answered as empty.
	shows kinds
	// inherits are the kinds for which it takes the common address, if it is an https one where secure says so.
	inherits kinds
	secure   bool
	// named: the answer to a common address names the vendor, with an empty address if it does not take it.
	named bool
}

// vendors lists the channels. Our own is first; OPPO shows only what was uploaded to it, and Xiaomi gave pictures up.
func vendors() []vendor {
	every := of(bigPicture, largeIcon, smallIcon)
	return []vendor{
		{name: "jiguang", shows: every, inherits: every, named: true},
		{name: "xiaomi", shows: every},
		{name: "huawei", shows: of(largeIcon, smallIcon), inherits: of(largeIcon), secure: true, named: true},
		{name: "honor", shows: of(largeIcon, smallIcon), inherits: of(largeIcon), secure: true, named: true},
		{name: "oppo", shows: of(bigPicture, largeIcon), named: true},
		{name: "fcm", shows: of(bigPicture, largeIcon), inherits: of(bigPicture, largeIcon), named: true},
		{name: "hmos", shows: every, inherits: of(largeIcon), secure: true},
	}
}

// takes reports whether the common address becomes that of the vendor.
func (v vendor) takes(k kind, common string) bool {
	return v.inherits.has(k) && (!v.secure || strings.HasPrefix(strings.ToLower(common), "https://"))
}

// urlMember is the member of requests and answers for the vendor's address.
func (v vendor) urlMember() string { return v.name + "_image_url" }

package payload

import "slices"

// vendorFacts are what the rules about live and VoIP pushes need to know of one vendor's settings.
type vendorFacts struct {
	distribution string
	// special is set by a *_push_type other than the ordinary one.
	special bool
	// classification is the vendor's own; the option of the push is stronger.
	classification int64
}

// thirdPartyShape holds the vendors. What they accept changes by the month and our own channel stands in for a vendor
// we cannot satisfy, so enumerations are kept as they come; only types are checked.
var thirdPartyShape = openSorted(
	field{"xiaomi", (*checker).vendor},
	field{"huawei", (*checker).vendor},
	field{"honor", (*checker).vendor},
	field{"meizu", (*checker).vendor},
	field{"oppo", (*checker).vendor},
	field{"vivo", (*checker).vendor},
	field{"fcm", (*checker).vendor},
	field{"nio", (*checker).vendor},
	field{"asus", (*checker).vendor},
	field{"hmos", (*checker).vendor},
)

// vendorShape is the union of what the vendors know: telling them apart would refuse what the next month allows.
var vendorShape = openSorted(
	field{"distribution", func(c *checker, at int) bool {
		text, ok := c.stringAt(at)
		c.facts.vendor.distribution = string(text)
		return ok
	}},
	field{"distribution_fcm", anyText},
	field{"distribution_customize", anyText},
	field{"channel_id", idText},
	field{"classification", func(c *checker, at int) (ok bool) {
		c.facts.vendor.classification, ok = c.integerAt(at, 0, 1)
		return ok
	}},
	field{"skip_quota", boolean},
	field{"push_mode", anyInteger},
	field{"importance", anyText},
	field{"category", anyText},
	field{"notify_level", anyInteger},
	field{"sound", anyText},
	field{"default_sound", boolean},
	field{"urgency", anyText},
	field{"receipt_id", idText},
	field{"callback_id", idText},
	field{"target_user_type", anyInteger},
	field{"large_icon", anyText},
	field{"small_icon_uri", anyText},
	field{"small_icon_color", anyText},
	field{"style", anyInteger},
	field{"big_text", anyText},
	field{"inbox", freeObject},
	field{"big_pic_path", anyText},
	field{"only_use_vendor_style", boolean},
	field{"auditResponse", freeObject},
	field{"private_msg_template_id", idText},
	field{"private_title_parameters", freeObject},
	field{"private_content_parameters", freeObject},
	field{"mi_template_id", idText},
	field{"mi_template_param", textOrObject},
	field{"badge_operation_type", anyInteger},
	field{"badge_message_count", anyInteger},
	field{"add_badge", boolean},
	field{"hw_push_type", pushType(7)},
	field{"hw_live_payload", freeObject},
	field{"op_push_type", pushType(3, 7)},
	field{"op_intelligent_intent", freeObject},
	field{"op_delete_intent_data", freeObject},
	field{"vivo_push_type", pushType(2, 3, 7)},
	field{"vivo_inapp_msg", freeObject},
	field{"vivo_liveMessage", freeObject},
	field{"honor_push_type", pushType(3)},
	field{"mi_push_type", pushType(3, 7)},
	field{"mi_live_payload", freeObject},
	field{"voip_extraData", textOrObject},
	field{"extensionExpireShow", boolean},
)

func (c *checker) thirdPartyChannel(at int) bool {
	return noted(objectOf(thirdPartyShape), func(f *facts) *span { return &f.thirdParty })(c, at)
}

func (c *checker) vendor(at int) bool {
	c.facts.vendor = vendorFacts{}
	present, ok := c.object(vendorShape, at)
	if !ok {
		return false
	}
	if present.has("op_intelligent_intent") && present.has("op_delete_intent_data") {
		c.invalid("must not have both op_intelligent_intent and op_delete_intent_data")
	}
	v := c.facts.vendor
	class := v.classification
	if c.facts.classified {
		class = int64(c.push.Options.Classification)
	}
	if v.special && class == 1 && (v.distribution == "" || v.distribution == "ospush") {
		c.facts.vendorLive = true
	}
	return !present.empty()
}

// pushType reads a vendor's message type and notes the ones that carry their own content.
func pushType(special ...int64) reader {
	return func(c *checker, at int) bool {
		v, ok := c.wholeNumber(at)
		if ok && slices.Contains(special, v) {
			c.facts.vendor.special = true
		}
		return anyInteger(c, at)
	}
}

// textOrObject reads JSON text in a string, or the object itself.
func textOrObject(c *checker, at int) bool {
	if n := &c.nodes[at]; n.kind == kindObject || n.kind == kindArray {
		return freeObject(c, at)
	}
	return anyText(c, at)
}

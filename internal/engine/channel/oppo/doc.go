// Package oppo sends through OPPO Push: phones of OPPO, OnePlus and realme.
//
// One device is a unicast, several are a unicast_batch, where each device has a result of its own; a notification with a picture
// is saved and broadcast to ids, since OPPO shows pictures in broadcasts only. A repetition does no harm: unicasts carry
// Message.ID as app_message_id, which OPPO sends to a device once, and every notification has a notify_id made of it.
//
// Sources: the server API of open.oppomobile.com (pages 11234 to 11236, 12391, 13189) and OPPO's server SDK 1.1.0.
//
// Not carried: VoIP and fluid cloud (op_push_type 3 and 7). They are interfaces of their own with their own credentials, which
// OPPO hands out under agreement; a message that asks for one is Rejected.
package oppo

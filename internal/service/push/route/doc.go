// Package route brings messages to devices through the channels of vendors, and by SMS, when our own connections do not.
//
// Tables: push_channel (an app's credentials at a vendor), push_route (messages to be planned), push_route_part (devices
// of a message that one channel is to reach), push_route_result (what became of them), push_route_quota (how many messages of
// class marketing devices got on a day). Events: none; what became of a device is told to the push service (Messages.Mark).
//
// How a message goes. Record notes it in the transaction that accepts it. The node that owns the app's partition plans it,
// 65,536 ordinals at a time: for each device with a token of a configured channel it picks the channels it may take, best first
// (policy.go), and when the first one is due: at once if the device is away, or if the push prefers vendors; some seconds
// after its release if the device is connected, for the case that it does not acknowledge. Devices of a message, a channel and a
// time are parts of at most 1,000. A part that is due is sent to those of its devices to whom the message is still owed. They are
// held first, so that our own connections do not deliver meanwhile (push.stageHeld), then:
//   - accepted by the vendor: the pair of message and device ends;
//   - too fast, failed or unknown: the same part again, later, for these devices;
//   - token invalid (and forgotten), refused, denied, quota used up, silenced: the device's next channel, in a new part, and after
//     the last one back to our own connections (or unreachable, if the push was for vendors alone).
//
// Every step is a row, so "why did this device not get it" is answered from parts and results (trace.go).
//
// Withdraw only notes that a message is to be taken back; the owner makes parts of it (retract.go) for those who have it. A part of a
// message that is withdrawn while a vendor takes it over is followed by one that takes it back.
//
// Each app and channel is a line of its own: a slow vendor holds up nobody else. A part that cannot be taken up is put off, credentials that
// cannot be read are as good as refused, and the lines of an app that is disabled or suspended rest.
//
// SMS is one more channel: its part is due after the delay that the push names, for devices with a verified number, and it
// neither holds nor ends anything.
//
// Invariants:
//   - a device is in at most one open part of a message, SMS aside, and each part it moves to is of a channel further down its list: the parts
//     of a chunk of targets and the progress of the plan are one transaction;
//   - everything is written under the lease of the app's partition (kernel/lease);
//   - marks are set before a part is closed: a node that dies in between sends a part again to those who are still owed it, and
//     vendors put a repetition in the place of the first (wire.Message.ID). SMS, which would be read twice, is not sent again;
//   - a device gets no more messages of class marketing on a day through a vendor than it allows: they are counted when a part
//     is claimed, in the same transaction, and given back if the vendor does not accept.
package route

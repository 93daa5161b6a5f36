// Package device owns the devices: their registration and identity, profile, vendor tokens, and when they were last
// seen. It serves the device API (/device/v1), the profile topics of the device protocol, and the vendor-compatible
// device API (/v3/devices, /v3/tags, /v3/aliases).
//
// Tables: device_installation (the epoch of this installation), device_counter (the next ordinal of each app),
// device_epoch (from which ordinal on an epoch issued), device_device (one row per device), device_install
// (installation → device), device_token (vendor tokens, which decay when their devices fall silent), device_live (live
// activities that devices follow), device_import (ids of another push service → devices), device_import_head (how many, and
// the number of the last change). Events: deviceevent, published by who sets the hooks.
//
// A device is pending from its registration, joined from its first authenticated contact, and gone at its end. One that
// stays pending for 24 h is deleted. A joined device whose push is switched off is in no audience. A row that is gone keeps
// nothing personal; its ordinal is never used again.
//
// Moving over from another push service. Import makes its devices known under the ids they have there. An imported
// device is in audiences and is owed messages, but nobody can connect as one: there is no secret. Registering with
// Registration.ImportedID and a signature of the app's backend claims it, once: the installation becomes that device and
// joins. Both ids are accepted for ever. Answers that list devices use the imported id until the claim and the registration id from
// then on, because each is the one the app's server knows at that time; answers to a call that names ids repeat those ids.
// Unclaimed is the set of what is left; every change of it has a number in device_import_head, so each node reads only
// what changed since it looked last.
//
// Invariants:
//   - a registration id is valid if its MAC is, and its ordinal was issued in the epoch that it names. Ids that a lost
//     database issued after the backup that was restored are thereby void, although their MAC is good;
//   - who changes a row that the audience contains first takes audience.Lock of the app, then reads the row, and logs
//     the change with audience.Append in the same transaction;
//   - an alias has at most as many devices as the app allows, and a vendor token has one device: the newest wins;
//   - a mobile number is stored sealed, bound to its device;
//   - an imported id belongs to one ordinal for ever. It stays when the device is deleted, so that importing it again
//     does not bring the device back.
//
// Order of locks in the database: the app's audience, its counter, the head of its imported ids, device rows, tokens. In memory there are only leaf
// mutexes.
package device

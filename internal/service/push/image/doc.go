// Package image keeps what notifications show as pictures and icons, under one media id with an address for each vendor's
// channel, and serves the vendor-compatible image API (/v3/images) and the pictures that were uploaded
// (/api/v1/images/{id}).
//
// Tables: push_image, push_image_picture, push_image_count. Uploaded bytes are in kernel/blob. Events: none.
//
// Addresses are kept as the caller gave them. Nothing is ever fetched from them by the server: whoever shows the picture
// fetches it. An uploaded picture gets an address of this server with an id that cannot be guessed; anybody who has it
// may read it.
//
// Invariants: an image lives 30 days and belongs to one app; an uploaded picture never changes, a new one has a new
// address; a call that was refused, or cut off by a crash, changes nothing.
package image

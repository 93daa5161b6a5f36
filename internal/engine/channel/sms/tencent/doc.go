// Package tencent sends text messages through Tencent Cloud's SMS service (SendSms 2021-01-11), signed with TC3-HMAC-SHA256.
//
// Messages of one push that have the same template, signature and parameters go together, up to 200 numbers; each number has a result of its
// own. Parameters are positional at Tencent: a template of the credentials lists their names in order.
package tencent

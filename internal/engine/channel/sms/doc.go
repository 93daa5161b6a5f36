// Package sms makes the providers of text messages: Aliyun, Tencent Cloud, and a gateway that the operator describes. What they have in common
// is smswire.
package sms

// Package aliyun sends text messages through Aliyun's SMS service (Dysmsapi 2017-05-25), signed with ACS3-HMAC-SHA256.
//
// Messages of one template go together: one as SendSms, up to a hundred as SendBatchSms. Aliyun takes or refuses a batch as a whole. If it refuses
// one because of a number or of one's parameters, nothing was sent, and each message of it is sent alone, so that one bad number
// does not speak for the others.
package aliyun

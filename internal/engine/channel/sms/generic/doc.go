// Package generic sends text messages through any HTTP gateway that takes one message a call: the operator of the server
// describes the call.
//
// Who may: only the operator, in the configuration of the server, for the address and the headers decide where numbers go and with whose
// account. What an app's owner enters (Parse) are templates and signatures, never an address, a header or a body.
//
// The body is JSON or a form whose texts have placeholders: {mobile}, {template}, {sign}, {id}, {params}. A text that is
// only "{params}" becomes the object of parameters in JSON; elsewhere {params} is that object as text. Values are
// put in after the body was read, so nothing that an app sends can change its shape.
package generic

package mqtt

// Code is a reason code of MQTT 5.0. ConnectCode gives the return code of an MQTT 3.1.1 CONNACK for it.
type Code byte

// Reason codes of MQTT 5.0, section 2.4.
const (
	Success                     Code = 0x00
	GrantedQoS0                 Code = 0x00
	GrantedQoS1                 Code = 0x01
	DisconnectWithWill          Code = 0x04
	NoMatchingSubscribers       Code = 0x10
	NoSubscriptionExisted       Code = 0x11
	UnspecifiedError            Code = 0x80
	MalformedPacket             Code = 0x81
	ProtocolError               Code = 0x82
	ImplementationError         Code = 0x83
	UnsupportedProtocolVersion  Code = 0x84
	ClientIdentifierNotValid    Code = 0x85
	BadUserNameOrPassword       Code = 0x86
	NotAuthorized               Code = 0x87
	ServerUnavailable           Code = 0x88
	ServerBusy                  Code = 0x89
	Banned                      Code = 0x8A
	ServerShuttingDown          Code = 0x8B
	BadAuthenticationMethod     Code = 0x8C
	KeepAliveTimeout            Code = 0x8D
	SessionTakenOver            Code = 0x8E
	TopicFilterInvalid          Code = 0x8F
	TopicNameInvalid            Code = 0x90
	PacketIdentifierInUse       Code = 0x91
	PacketIdentifierNotFound    Code = 0x92
	ReceiveMaximumExceeded      Code = 0x93
	TopicAliasInvalid           Code = 0x94
	PacketTooLarge              Code = 0x95
	MessageRateTooHigh          Code = 0x96
	QuotaExceeded               Code = 0x97
	AdministrativeAction        Code = 0x98
	PayloadFormatInvalid        Code = 0x99
	RetainNotSupported          Code = 0x9A
	QoSNotSupported             Code = 0x9B
	UseAnotherServer            Code = 0x9C
	ServerMoved                 Code = 0x9D
	SharedSubscriptionsRefused  Code = 0x9E
	ConnectionRateExceeded      Code = 0x9F
	MaximumConnectTime          Code = 0xA0
	SubscriptionIDsNotSupported Code = 0xA1
	WildcardsNotSupported       Code = 0xA2
)

// Return codes of an MQTT 3.1.1 CONNACK, section 3.2.2.3.
const (
	Accepted311           byte = 0
	UnacceptableVersion   byte = 1
	IdentifierRejected    byte = 2
	ServerUnavailable311  byte = 3
	BadUserNameOrPass311  byte = 4
	NotAuthorized311      byte = 5
	SubscribeFailure311   byte = 0x80
	maxConnectReturnCode       = NotAuthorized311
	maxStringLen               = 65535
	maxRemainingLength         = 268_435_455
	connectVariableMinLen      = 10
)

// ConnectCode is the closest return code of an MQTT 3.1.1 CONNACK.
func (c Code) ConnectCode() byte {
	switch c {
	case Success:
		return Accepted311
	case UnsupportedProtocolVersion:
		return UnacceptableVersion
	case ClientIdentifierNotValid:
		return IdentifierRejected
	case BadUserNameOrPassword, BadAuthenticationMethod:
		return BadUserNameOrPass311
	case NotAuthorized, Banned:
		return NotAuthorized311
	}
	return ServerUnavailable311
}

// Error says that a peer broke the protocol.
type Error struct {
	// Code is the MQTT 5.0 reason code to close the connection with.
	Code Code
	// Reason for people, in a few words.
	Reason string
}

// Error implements error.
func (e *Error) Error() string { return "mqtt: " + e.Reason }

// The errors are made once, so that a flood of bad packets costs no memory.
var (
	errTruncated      = &Error{MalformedPacket, "packet is shorter than its fields"}
	errTrailing       = &Error{MalformedPacket, "packet is longer than its fields"}
	errRemaining      = &Error{MalformedPacket, "variable byte integer is not minimal or too long"}
	errTooLarge       = &Error{PacketTooLarge, "packet is larger than allowed"}
	errType           = &Error{MalformedPacket, "packet type 0 is reserved"}
	errFlags          = &Error{MalformedPacket, "reserved flags of the fixed header are set"}
	errQoS            = &Error{MalformedPacket, "quality of service 3 does not exist"}
	errDup            = &Error{MalformedPacket, "duplicate flag at quality of service 0"}
	errUTF8           = &Error{MalformedPacket, "string is not UTF-8 or contains U+0000"}
	errPacketID       = &Error{ProtocolError, "packet identifier is 0"}
	errProtocolName   = &Error{UnsupportedProtocolVersion, "protocol is neither MQTT 3.1.1 nor MQTT 5.0"}
	errConnectFlags   = &Error{MalformedPacket, "connect flags contradict each other"}
	errTopic          = &Error{TopicNameInvalid, "topic name is empty or has a wildcard"}
	errTopicAlias     = &Error{TopicAliasInvalid, "topic alias is 0"}
	errFilter         = &Error{ProtocolError, "topic filter is empty"}
	errNoFilter       = &Error{ProtocolError, "packet has no topic filter"}
	errSubOptions     = &Error{MalformedPacket, "reserved bits of the subscription options are set"}
	errRetainHandling = &Error{ProtocolError, "retain handling 3 does not exist"}
	errSharedNoLocal  = &Error{ProtocolError, "no-local on a shared subscription"}
	errProperty       = &Error{MalformedPacket, "property is unknown or not allowed here"}
	errPropertyTwice  = &Error{ProtocolError, "property is given twice"}
	errPropertyValue  = &Error{ProtocolError, "property has a value that is not allowed"}
	errAuthData       = &Error{ProtocolError, "authentication data without a method"}
	errNoCodes        = &Error{MalformedPacket, "packet has no reason code"}
	errReturnCode     = &Error{MalformedPacket, "return code does not exist"}
	errPresent        = &Error{ProtocolError, "session present on a refused connection"}
)

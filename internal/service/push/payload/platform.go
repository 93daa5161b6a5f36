package payload

import "borealis/internal/engine/audience"

// Platform is a kind of device a push can be addressed to.
type Platform = audience.Platform

// The platforms. Web, Desktop and IoT are ours, the others are the vendor's; WinPhone is accepted and has no devices.
const (
	Android  = audience.Android
	IOS      = audience.IOS
	QuickApp = audience.QuickApp
	HMOS     = audience.HMOS
	WinPhone = audience.WinPhone
	Web      = audience.Web
	Desktop  = audience.Desktop
	IoT      = audience.IoT
)

// PlatformSet is a set of platforms.
type PlatformSet = audience.PlatformSet

// All is every platform, what `"platform":"all"` means.
const All = audience.AllPlatforms

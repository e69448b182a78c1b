package site

import (
	"net/url"
	"slices"
)

// Webhook is an address that is told what becomes of installs.
type Webhook struct {
	URL    string         `json:"url"`
	Secret SecretRef      `json:"secret"`           // signs what is sent
	Events []WebhookEvent `json:"events,omitempty"` // none means all
	CA     string         `json:"ca,omitempty"`     // PEM file of the authority that vouches for the address
}

// WebhookEvent is a turn in an install that somebody may want to hear of.
type WebhookEvent string

// The turns of an install.
const (
	HookStart  WebhookEvent = "start"  // the installer was handed out
	HookDone   WebhookEvent = "done"   // the disk holds the new system
	HookReady  WebhookEvent = "ready"  // it booted and is as intended
	HookFailed WebhookEvent = "failed" // the attempt ended, or it booted and deviates
	HookHeld   WebhookEvent = "held"   // it waits for an operator
)

// WebhookEvents lists them all.
func WebhookEvents() []WebhookEvent {
	return []WebhookEvent{HookStart, HookDone, HookReady, HookFailed, HookHeld}
}

// HookOf is the turn that an event stands for.
func HookOf(b Body) (WebhookEvent, bool) {
	switch b := b.(type) {
	case InstallStarted:
		return HookStart, true
	case InstallDone:
		return HookDone, true
	case NodeVerified:
		if len(b.Deviations) > 0 {
			return HookFailed, true
		}
		return HookReady, true
	case InstallFailed:
		return HookFailed, true
	case NodeHeld:
		return HookHeld, true
	default:
		return "", false
	}
}

// Wants reports whether the hook is to be told.
func (w Webhook) Wants(e WebhookEvent) bool {
	return len(w.Events) == 0 || slices.Contains(w.Events, e)
}

// Place is where the hook leads, fit for logs: what follows the host often is
// a credential.
func (w Webhook) Place() string {
	u, err := url.Parse(w.URL)
	if err != nil {
		return "an address that cannot be read"
	}
	return u.Scheme + "://" + u.Host
}

package site

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

func (c *checker) checkWebhooks() {
	seen := map[string]bool{}
	for i, w := range c.plan.Webhooks {
		path := fmt.Sprintf("webhooks[%d]", i)
		c.checkWebhookURL(path+".url", w)
		if seen[w.URL] {
			c.fail("webhook-twice", path+".url", "keep one of them, with the events of both", "two webhooks lead to the same address at %s", w.Place())
		}
		seen[w.URL] = true
		if w.Secret == (SecretRef{}) {
			c.fail("webhook-secret-missing", path, "add secret: {file: PATH} or {env: NAME}; the receiver checks the signature with it", "what is sent to %s would not be signed", w.Place())
		}
		for _, e := range w.Events {
			if !slices.Contains(WebhookEvents(), e) {
				c.fail("webhook-event-unknown", path+".events", "use start, done, ready, failed or held", "%q is not a turn of an install", e)
			}
		}
	}
}

// checkWebhookURL repeats no more of an address than its host.
func (c *checker) checkWebhookURL(path string, w Webhook) {
	u, err := url.Parse(w.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		c.fail("webhook-url-malformed", path, "write it like https://hooks.example.net/rackseed", "the address of a webhook is not an http or https URL")
	case u.User != nil:
		c.fail("webhook-url-password", path, "leave out user and password, and change that password if it is in use; the receiver checks the signature", "the address of a webhook at %s holds a user or a password: a plan holds none in the clear", u.Host)
	case u.Scheme == "http" && !loopbackName(u.Hostname()):
		c.warn("webhook-not-encrypted", path, "use https", "what is sent to %s is signed, but everybody on the way can read it", u.Host)
	}
}

func loopbackName(host string) bool {
	a, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && a.IsLoopback()
}

package planfile

import (
	"github.com/goccy/go-yaml/ast"

	"github.com/rackseed/rackseed/pkg/site"
)

func (d *decoder) webhooks(n ast.Node) []site.Webhook {
	var out []site.Webhook
	for _, item := range items(n) {
		var w site.Webhook
		d.object(item, "a webhook", []field{
			{"url", d.into(&w.URL, "url")},
			{"secret", func(n ast.Node) { w.Secret = d.password(n) }},
			{"events", func(n ast.Node) {
				for _, e := range d.texts(n, "an event") {
					w.Events = append(w.Events, site.WebhookEvent(e))
				}
			}},
			{"ca", d.into(&w.CA, "ca")},
		})
		out = append(out, w)
	}
	return out
}

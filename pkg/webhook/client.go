package webhook

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"

	"github.com/rackseed/rackseed/pkg/site"
)

func transportFor(w site.Webhook) (*http.Transport, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if w.CA == "" {
		return t, nil
	}
	pem, err := os.ReadFile(w.CA)
	if err != nil {
		return nil, fmt.Errorf("reading the authority of %s: %w", w.Place(), err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s, the authority of %s, holds no certificate in PEM form", w.CA, w.Place())
	}
	t.TLSClientConfig.RootCAs = pool
	return t, nil
}

// withoutURL drops the address that net/http puts before its errors: what
// follows the host often is a credential.
func withoutURL(err error) error {
	if u := (*url.Error)(nil); errors.As(err, &u) {
		return u.Err
	}
	return err
}

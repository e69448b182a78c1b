package redfish

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"io"
	"log"
	"math/big"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rackseed/rackseed/pkg/bmc"
)

// TestCertificatesOfBMCs: what BMCs ship with would be refused by Go in part
// before anybody could compare a fingerprint. Pinned, each of them will do.
func TestCertificatesOfBMCs(t *testing.T) {
	now := time.Now()
	small := func(bits int) crypto.Signer {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	for _, tt := range []struct {
		name     string
		key      crypto.Signer
		template x509.Certificate
		negative bool
		version  uint16
	}{
		{name: "no name at all", template: x509.Certificate{}},
		{name: "a common name, and no alternative one", template: x509.Certificate{Subject: pkix.Name{CommonName: "iDRACdefault"}}},
		{name: "expired", template: x509.Certificate{NotBefore: time.Unix(0, 0), NotAfter: now.Add(-24 * time.Hour)}},
		{name: "not valid yet: a BMC without a clock signed it", template: x509.Certificate{NotBefore: now.Add(24 * time.Hour), NotAfter: now.Add(48 * time.Hour)}},
		{name: "signed by SHA-1", key: small(2048), template: x509.Certificate{SignatureAlgorithm: x509.SHA1WithRSA}},
		{name: "RSA of 1024 bits", key: small(1024)},
		{name: "RSA of 768 bits", key: small(768)},
		{name: "RSA of 768 bits, TLS 1.2", key: small(768), version: tls.VersionTLS12},
		{name: "a negative serial number", negative: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx := context.Background()
			b := newBoard()
			server := httptest.NewUnstartedServer(b)
			server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate(t, tt.key, tt.template, tt.negative)}, MaxVersion: tt.version}
			server.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that are to fail
			server.StartTLS()
			defer server.Close()

			d, err := Dial(ctx, target(server.URL), quick)
			if err != nil {
				t.Fatalf("pinned at first sight: %v", err)
			}
			known := d.Known()
			d.Close(ctx)
			again := target(server.URL)
			again.Known = known
			d, err = Dial(ctx, again, quick)
			if err != nil {
				t.Fatalf("pinned: %v", err)
			}
			d.Close(ctx)

			again.Known.Certificate = strings.Repeat("ab", 32)
			if _, err := Dial(ctx, again, quick); !errors.Is(err, bmc.ErrCertificate) {
				t.Errorf("another was pinned: %v", err)
			}
			logins := b.logins
			verified := quick
			verified.CA = x509.NewCertPool()
			if _, err := Dial(ctx, target(server.URL), verified); !errors.Is(err, bmc.ErrUntrusted) || b.logins != logins {
				t.Errorf("no CA vouches for it: %v", err)
			}
		})
	}
}

// certificate is signed by itself.
func certificate(t *testing.T, key crypto.Signer, template x509.Certificate, negative bool) tls.Certificate {
	t.Helper()
	if key == nil {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		key = k
	}
	template.SerialNumber = big.NewInt(0x0102030405060708)
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if negative {
		der = resigned(t, der, key)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// resigned gives a certificate the negative serial number that Go would not
// give it.
func resigned(t *testing.T, der []byte, key crypto.Signer) []byte {
	t.Helper()
	var c struct {
		Signed    asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &c); err != nil {
		t.Fatal(err)
	}
	c.Signed.FullBytes = bytes.Replace(c.Signed.FullBytes, []byte{1, 2, 3, 4, 5, 6, 7, 8}, []byte{0x81, 2, 3, 4, 5, 6, 7, 8}, 1)
	sum := sha256.Sum256(c.Signed.FullBytes)
	signature, err := key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	c.Signature = asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}
	der, err = asn1.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

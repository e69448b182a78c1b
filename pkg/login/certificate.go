package login

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// certificateLife is what browsers accept at most of a certificate that
	// was put into their store (Apple's limit, 825 days).
	certificateLife = 825 * 24 * time.Hour
	renewBefore     = 30 * 24 * time.Hour
	// skew forgives clocks of laptops that are behind.
	skew = 24 * time.Hour
)

// Certificate gives the certificate of a state directory, and makes one at
// first start, when it is about to run out, or when it lacks a name. A
// certificate that somebody else put there is never replaced.
func Certificate(dir string, names []string, now time.Time) (tls.Certificate, error) {
	certFile, keyFile := filepath.Join(dir, "operator-cert.pem"), filepath.Join(dir, "operator-key.pem")
	have, err := tls.LoadX509KeyPair(certFile, keyFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return have, fmt.Errorf("reading the certificate %s: %w; remove it and its key to have another made", certFile, err)
	case have.Leaf.Issuer.CommonName != maker || fits(have.Leaf, names, now):
		return have, nil
	}
	certPEM, keyPEM, err := makeCertificate(names, now)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making a certificate: %w", err)
	}
	if err := errors.Join(replace(keyFile, keyPEM), replace(certFile, certPEM)); err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(certPEM, keyPEM)
}

// maker is whose certificates are ours to replace.
const maker = "Rackseed, made at first start"

func fits(leaf *x509.Certificate, names []string, now time.Time) bool {
	for _, n := range names {
		if leaf.VerifyHostname(n) != nil {
			return false
		}
	}
	return now.Add(renewBefore).Before(leaf.NotAfter) && now.After(leaf.NotBefore)
}

func makeCertificate(names []string, now time.Time) (certPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, nil, err
	}
	t := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: maker}, NotBefore: now.Add(-skew), NotAfter: now.Add(certificateLife - skew),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), nil
}

// Fingerprint is what a browser shows of a certificate: SHA-256, so that a
// person can compare it.
func Fingerprint(c tls.Certificate) string {
	sum := sha256.Sum256(c.Certificate[0])
	text := strings.ToUpper(hex.EncodeToString(sum[:]))
	var pairs []string
	for i := 0; i < len(text); i += 2 {
		pairs = append(pairs, text[i:i+2])
	}
	return strings.Join(pairs, ":")
}

// Names are what a certificate for an address stands for: the address, or,
// for all of them, those of this machine, and its name.
func Names(host string) []string {
	names := []string{}
	if ip := net.ParseIP(host); ip != nil && !ip.IsUnspecified() {
		names = append(names, ip.String())
	} else if addrs, err := net.InterfaceAddrs(); err == nil {
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok && !n.IP.IsLinkLocalUnicast() {
				names = append(names, n.IP.String())
			}
		}
	}
	if name, err := os.Hostname(); err == nil && name != "" && !strings.Contains(name, "_") {
		names = append(names, strings.ToLower(name))
	}
	return names
}

package site

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// %p is not among the verbs: fmt asks no method about it, and go vet refuses
// it for what is not a pointer.
func TestSecretNeverPrints(t *testing.T) {
	const value = "hunter2"
	secret := Secret(value)
	access := Access{Root: secret}
	plan := Plan{Settings: Settings{Access: access, BMC: BMC{Password: SecretRef{Sealed: secret}}}}
	hexed := fmt.Sprintf("%x", value)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%t", "%T %[1]v", "%10s", "%-10.3s", "%!"} {
		for _, v := range []any{secret, &secret, access, &access, plan, &plan, []Secret{secret}, map[string]Secret{"k": secret}, map[Secret]int{secret: 1}, any(secret), struct{ S Secret }{secret}, PlanApplied{Settings: plan.Settings}} {
			got := fmt.Sprintf(verb, v)
			if strings.Contains(strings.ToLower(got), value) || strings.Contains(strings.ToLower(strings.ReplaceAll(got, " ", "")), hexed) {
				t.Errorf("%s of a %T gives %s", verb, v, got)
			}
		}
	}
	for _, got := range []string{
		fmt.Sprint(secret), fmt.Sprintln(access), secret.String(), fmt.Errorf("reading %w: %v", errors.New("x"), secret).Error(), fmt.Sprint(errors.Join(fmt.Errorf("%s", secret))),
	} {
		if strings.Contains(got, value) || !strings.Contains(got, "[redacted]") {
			t.Errorf("printed as %s", got)
		}
	}
}

func TestSecretIsNotLogged(t *testing.T) {
	secret := Secret("hunter2")
	for _, name := range []string{"text", "json"} {
		var b bytes.Buffer
		var h slog.Handler = slog.NewTextHandler(&b, nil)
		if name == "json" {
			h = slog.NewJSONHandler(&b, nil)
		}
		log := slog.New(h)
		log.Info("x", "secret", secret, "access", Access{Root: secret}, "pointer", &Access{Root: secret}, slog.Group("g", "s", secret), "list", []Secret{secret})
		if strings.Contains(b.String(), "hunter2") || !strings.Contains(b.String(), "[redacted]") {
			t.Errorf("%s: %s", name, b.String())
		}
	}
}

func TestSecretIsEncodedOnlySealed(t *testing.T) {
	for _, v := range []any{Secret("hunter2"), Access{Root: "hunter2"}, Access{Root: RootLocked}, map[string]Secret{"k": "hunter2"}, []Secret{"hunter2"}, SecretRef{Sealed: "hunter2"}, PlanApplied{Settings: Settings{Access: Access{Root: "hunter2"}}}} {
		data, err := json.Marshal(v)
		if !errors.Is(err, ErrUnsealed) || len(data) > 0 {
			t.Errorf("a %T was encoded as %s, %v", v, data, err)
		}
		if strings.Contains(fmt.Sprint(err), "hunter2") {
			t.Errorf("the error tells it: %v", err)
		}
	}
	if _, err := EncodeEvent(clock(1), PlanApplied{Settings: Settings{Access: Access{Root: "hunter2"}}}); !errors.Is(err, ErrUnsealed) {
		t.Errorf("a bare secret got into an event: %v", err)
	}
	var back Access
	data, err := json.Marshal(Access{Root: "sealed:abc"})
	if err != nil || json.Unmarshal(data, &back) != nil || back.Root.Reveal() != "sealed:abc" {
		t.Errorf("%s, %v, %v", data, err, back)
	}
	if data, err := json.Marshal(Access{}); err != nil || string(data) != "{}" {
		t.Errorf("no secret is %s, %v", data, err)
	}
}

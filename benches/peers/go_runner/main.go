// The calls that the deployed Go runner makes for a message, to be measured beside this project's.
//
// Arguments: operation, key file (PKCS #1 DER), file with the plaintext, file with the message. Prints its name and
// version, then answers each line with a number of iterations by the nanoseconds that these took.
package main

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/nacl/secretbox"
)

// Envelope is what the runner reads of a message.
type Envelope struct {
	Message struct {
		Experiment         json.RawMessage `json:"experiment"`
		TimeAdded          json.Number     `json:"time_added"`
		ExperimentLifetime string          `json:"experiment_lifetime"`
		Resource           json.RawMessage `json:"resources_needed"`
		Payload            string          `json:"payload"`
		Signature          string          `json:"signature"`
		Fingerprint        string          `json:"fingerprint"`
	} `json:"message"`
}

var signingKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))

func sealAndSign(key *rsa.PrivateKey, plaintext []byte) (payload string, signature string) {
	var sessionKey [32]byte
	var nonce [24]byte
	must(rand.Read(sessionKey[:]))
	must(rand.Read(nonce[:]))
	wrapped := must(rsa.EncryptOAEP(sha256.New(), rand.Reader, &key.PublicKey, sessionKey[:], nil))
	boxed := secretbox.Seal(nonce[:], plaintext, &nonce, &sessionKey)
	payload = base64.StdEncoding.EncodeToString(wrapped) + "," + base64.StdEncoding.EncodeToString(boxed)
	return payload, base64.StdEncoding.EncodeToString(ed25519.Sign(signingKey, []byte(payload)))
}

func verifyAndOpen(key *rsa.PrivateKey, payload string, signature string) []byte {
	public := signingKey.Public().(ed25519.PublicKey)
	if !ed25519.Verify(public, []byte(payload), must(base64.StdEncoding.DecodeString(signature))) {
		panic("bad signature")
	}
	fields := strings.Split(payload, ",")
	wrapped := must(base64.StdEncoding.DecodeString(fields[0]))
	boxed := must(base64.StdEncoding.DecodeString(fields[1]))
	var sessionKey [32]byte
	var nonce [24]byte
	copy(sessionKey[:], must(rsa.DecryptOAEP(sha256.New(), rand.Reader, key, wrapped, nil)))
	copy(nonce[:], boxed[:24])
	plaintext, ok := secretbox.Open(nil, boxed[24:], &nonce, &sessionKey)
	if !ok {
		panic("cannot open")
	}
	return plaintext
}

func envelopeVerifyAndOpen(key *rsa.PrivateKey, text []byte) []byte {
	var envelope Envelope
	check(json.Unmarshal(text, &envelope))
	return verifyAndOpen(key, envelope.Message.Payload, envelope.Message.Signature)
}

func main() {
	if len(os.Args) != 5 {
		check(errors.New("usage: go_runner OPERATION KEY PLAINTEXT MESSAGE"))
	}
	operation := os.Args[1]
	key := must(x509.ParsePKCS1PrivateKey(must(os.ReadFile(os.Args[2]))))
	plaintext, text := must(os.ReadFile(os.Args[3])), must(os.ReadFile(os.Args[4]))
	var envelope Envelope
	check(json.Unmarshal(text, &envelope))

	var run func() []byte
	switch operation {
	case "seal+sign":
		run = func() []byte { sealAndSign(key, plaintext); return plaintext }
	case "verify+open":
		run = func() []byte { return verifyAndOpen(key, envelope.Message.Payload, envelope.Message.Signature) }
	case "envelope-verify+open":
		run = func() []byte { return envelopeVerifyAndOpen(key, text) }
	default:
		check(errors.New("no operation " + operation))
	}
	if !bytes.Equal(run(), plaintext) {
		panic("another plaintext came out")
	}
	fmt.Printf("Go runner's calls (%s)\n", strings.Replace(runtime.Version(), "go", "Go ", 1))

	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		iterations := must(strconv.Atoi(lines.Text()))
		start := time.Now()
		for i := 0; i < iterations; i++ {
			run()
		}
		fmt.Println(time.Since(start).Nanoseconds())
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func must[T any](value T, err error) T {
	check(err)
	return value
}

package app

import (
	"bufio"
	"context"
	"encoding/hex"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"sluice/internal/authz"
)

// Exposure describes whether clients can reach the builder around Sluice.
type Exposure struct {
	// State is "closed", "open" or "unknown".
	State string
	// Text is one sentence for people; Next says what to do.
	Text, Next string
}

// Exposure checks whether clients can reach the builder around Sluice: on this host, the kernel
// lists the addresses on which its port is open. It needs AppView.
func (m *Monitor) Exposure(ctx context.Context, actor authz.Principal, id string) (Exposure, error) {
	a, err := m.registry.find(ctx, actor, authz.AppView, id)
	if err != nil {
		return Exposure{}, err
	}
	if a.Kind.BuiltIn {
		return Exposure{
			State: "closed",
			Text:  "The demo builder listens inside Sluice, on the loopback address only.",
		}, nil
	}
	if a.ForwardAuth() {
		return Exposure{
			State: "unknown",
			Text:  "Sluice does not know where this app runs; only the reverse proxy does.",
			Next: "Let only the reverse proxy reach it: HOST=127.0.0.1, a private container network, or a firewall " +
				"rule for its port.",
		}, nil
	}
	port, err := strconv.Atoi(portOf(a))
	if err != nil || !isLoopback(a.Upstream.Hostname()) {
		return Exposure{
			State: "unknown",
			Text: "The builder does not run on this host's loopback address, so Sluice cannot see who else can " +
				"reach it.",
			Next: "Let only Sluice reach it: a private container network, or a firewall rule for its port.",
		}, nil
	}
	var open, closed []string
	for _, name := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		addresses, err := listeners(name, port)
		if err != nil {
			return Exposure{
				State: "unknown",
				Text:  "This system does not report on which addresses the builder listens.",
				Next:  "Start the builder with HOST=127.0.0.1.",
			}, nil
		}
		for _, address := range addresses {
			if address.Unmap().IsLoopback() {
				closed = append(closed, address.String())
			} else {
				open = append(open, address.String())
			}
		}
	}
	switch {
	case len(open) > 0:
		return Exposure{
			State: "open",
			Text: "The builder also listens on " + strings.Join(
				open,
				", ",
			) + ", port " + strconv.Itoa(
				port,
			) + ": anyone who reaches that address bypasses Sluice.",
			Next: "Start the builder with HOST=127.0.0.1, or close the port in the firewall.",
		}, nil
	case len(closed) > 0:
		return Exposure{
			State: "closed",
			Text:  "The builder listens only on the loopback address; other machines can reach it only through Sluice.",
		}, nil
	}
	return Exposure{
		State: "unknown",
		Text:  "Nothing on this host listens on the builder's port; it may run in a container.",
		Next:  "Publish the container's port on 127.0.0.1 only.",
	}, nil
}

func portOf(a *App) string {
	if p := a.Upstream.Port(); p != "" {
		return p
	}
	if a.Upstream.Scheme == "https" {
		return "443"
	}
	return "80"
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

func listeners(file string, port int) ([]netip.Addr, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return parseListeners(f, port)
}

// listening is the state of a listening socket in /proc/net/tcp (proc(5), enum TCP_LISTEN).
const listening = "0A"

// parseListeners reads the kernel's table. Local addresses are hexadecimal, with each 32-bit word
// in the host's byte order (little-endian on every platform that Sluice is built for).
func parseListeners(table io.Reader, port int) ([]netip.Addr, error) {
	var out []netip.Addr
	lines := bufio.NewScanner(table)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || fields[3] != listening {
			continue
		}
		hexAddress, hexPort, ok := strings.Cut(fields[1], ":")
		if n, err := strconv.ParseUint(hexPort, 16, 16); !ok || err != nil || int(n) != port {
			continue
		}
		raw, err := hex.DecodeString(hexAddress)
		if err != nil || len(raw) != net.IPv4len && len(raw) != net.IPv6len {
			continue
		}
		for i := 0; i+4 <= len(raw); i += 4 {
			raw[i], raw[i+1], raw[i+2], raw[i+3] = raw[i+3], raw[i+2], raw[i+1], raw[i]
		}
		if address, ok := netip.AddrFromSlice(raw); ok {
			out = append(out, address)
		}
	}
	return out, lines.Err()
}

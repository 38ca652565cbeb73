package guard

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"sluice/internal/problem"
)

const (
	// maxEntries and maxExpanded bound an archive of flows.
	maxEntries  = 500
	maxExpanded = 64 << 20
)

// The signatures of a zip archive (APPNOTE 4.3): of the first file, of the end record, and of the
// 64-bit end record.
var zipFirst, zipEnd, zipEnd64 = []byte("PK\x03\x04"), []byte("PK\x05\x06"), []byte("PK\x06\x07")

// endSize is the length of an end record without a comment.
const endSize = 22

// openArchive opens a zip archive that can be read in only one way. It fills the whole file and has
// one end record without a comment, which is last. It contains no links, no encryption, and no name
// that leads out of the archive.
func (n Names) openArchive(data []byte) (*zip.Reader, error) {
	if !bytes.HasPrefix(data, zipFirst) || len(data) < endSize || bytes.LastIndex(data, zipEnd) != len(data)-endSize ||
		bytes.Count(
			data[max(0, len(data)-endSize-1<<16):],
			zipEnd,
		) != 1 || bytes.Contains(data[max(0, len(data)-256):], zipEnd64) {
		return nil, badArchive("it is not a plain zip file from its first byte to its last")
	}
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, badArchive("it cannot be read")
	}
	if len(z.File) > maxEntries {
		return nil, badArchive(fmt.Sprintf("it has more than %d files", maxEntries))
	}
	for _, f := range z.File {
		name := strings.TrimSuffix(f.Name, "/")
		for segment := range strings.SplitSeq(name, "/") {
			if why := n.Bad(segment); why != "" {
				return nil, badArchive("a name in it " + why)
			}
		}
		if mode := f.Mode(); !mode.IsRegular() && !mode.IsDir() || f.Flags&1 != 0 {
			return nil, badArchive("it has links or encrypted files")
		}
	}
	return z, nil
}

func badArchive(why string) error {
	return problem.Newf(problem.Denied, "The archive cannot be forwarded: %s.", why).WithRule("guard.upload").
		WithField("file").
		WithNext("Create a new zip file of plain files, or upload the files individually.")
}

// checkArchive refuses a zip archive with links or with names that lead out of it (CVE-2026-7524,
// GHSA-ccv6-r384-xp75), under any file name: office documents are zip archives too. Other files
// pass.
func checkArchive(data []byte) error {
	if !bytes.HasPrefix(data, zipFirst) {
		return nil
	}
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return badArchive("it cannot be read")
	}
	total := uint64(0)
	for _, f := range z.File {
		if mode := f.Mode(); !mode.IsRegular() && !mode.IsDir() {
			return badArchive("it has links")
		}
		if name := strings.TrimSuffix(f.Name, "/"); !filepath.IsLocal(name) || strings.ContainsAny(name, "\\\x00") {
			return badArchive("a name in it leads out of it")
		}
		if total += f.UncompressedSize64; f.UncompressedSize64 > maxUnpacked || total > maxUnpacked {
			return badArchive("its files are larger than a gibibyte")
		}
	}
	return nil
}

// maxUnpacked bounds the unpacked size of an uploaded archive.
const maxUnpacked = 1 << 30

// archivedJSON are the JSON files in an archive.
func (n Names) archivedJSON(data []byte) ([][]byte, error) {
	z, err := n.openArchive(data)
	if err != nil {
		return nil, err
	}
	var out [][]byte
	left := int64(maxExpanded)
	for _, f := range z.File {
		if f.Mode().IsDir() {
			continue
		}
		if !strings.HasSuffix(strings.ToLower(f.Name), ".json") {
			return nil, badArchive("it has files that are not flows in JSON")
		}
		text, err := expand(f, left)
		if err != nil {
			return nil, err
		}
		left -= int64(len(text))
		out = append(out, text)
	}
	return out, nil
}

func expand(f *zip.File, limit int64) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, badArchive("a file in it cannot be read")
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, badArchive("a file in it is damaged")
	}
	if int64(len(text)) > limit {
		return nil, badArchive(fmt.Sprintf("its files are larger than %d MiB", maxExpanded>>20))
	}
	return text, nil
}

package console_test

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// pictures are those of the README, by their files in .github: small enough for a first screen.
var pictures = map[string]string{"console.png": "/", "console-event.png": ""}

const (
	largestPicture = 60_000 // bytes
	// colors of a palette: pages have few, and the edges of letters need some between them.
	colors = 48
)

func TestThePicturesOfTheREADMEAreSmall(t *testing.T) {
	for name := range pictures {
		file, err := os.ReadFile(filepath.Join(root, ".github", name))
		if err != nil {
			t.Fatal(err)
		}
		size, err := png.DecodeConfig(bytes.NewReader(file))
		if err != nil || len(file) > largestPicture || size.Width > 1100 {
			t.Errorf("%s: %d bytes, %d pixels wide, %v. Make it again with: make screens", name, len(file), size.Width, err)
		}
	}
}

// TestDrawThePicturesOfTheREADME is what make screens runs.
func TestDrawThePicturesOfTheREADME(t *testing.T) {
	folder := os.Getenv("PICTURES")
	if folder == "" {
		folder = screens
	}
	l := newLaptop(t)
	l.life()
	tab := l.open("/")
	event := l.pages(tab)["event"]
	for name, path := range pictures {
		if path == "" {
			path = event
		}
		tab.Size(1060, 620)
		tab.Go(l.url + path)
		at := filepath.Join(folder, name)
		tab.Screenshot(at, false)
		shrink(t, at)
	}
}

// shrink writes a picture again with a palette of its most frequent colors.
func shrink(t *testing.T, path string) {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	full, err := png.Decode(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	counts := map[color.RGBA]int{}
	bounds := full.Bounds()
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			counts[color.RGBAModel.Convert(full.At(x, y)).(color.RGBA)]++
		}
	}
	var all []color.RGBA
	for c := range counts {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b color.RGBA) int { return counts[b] - counts[a] })
	var palette color.Palette
	for _, c := range all[:min(colors, len(all))] {
		palette = append(palette, c)
	}
	small := image.NewPaletted(bounds, palette)
	draw.Draw(small, bounds, full, bounds.Min, draw.Src)
	var out bytes.Buffer
	err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, small)
	if err == nil {
		err = os.WriteFile(path, out.Bytes(), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

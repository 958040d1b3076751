// SPDX-License-Identifier: Apache-2.0

package forest

import (
	"encoding"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// The encoding, little endian:
//
//	uint16   features
//	uint16   trees
//	uint32   ψ
//	uint32   nodes, of all trees
//	         nodes × 6 bytes, tree after tree, each breadth first:
//	uint16   feature index, or 0xffff for a leaf
//	uint32   threshold (IEEE 754 binary32), or the number of rows in a leaf
//
// A forest with weights (see Weigh) goes on:
//
//	float32  bias
//	         leaves × float32 weight, in the order of the leaves above
//
// Children have no index: those of the k-th inner node of a tree are the k-th
// pair of nodes after the root. A tree is over when no child is owed, so
// neither a cycle nor a shared child can be written down.
const (
	headerSize = 12
	recordSize = 6
	leafMark   = math.MaxUint16
)

// ErrFormat is wrapped by every error of [Decode].
var ErrFormat = errors.New("not a valid forest")

var _ encoding.BinaryAppender = (*Forest)(nil)

// AppendBinary appends the encoding of f to b; [Decode] reads it back. The
// only error is that of a zero Forest, which has no encoding.
func (f *Forest) AppendBinary(b []byte) ([]byte, error) {
	if f.trees == 0 {
		return b, errors.New("forest: no trees to encode")
	}
	b = appendHeader(b, f.features, f.trees, f.subsample, f.Nodes())
	for i := 1; i < len(f.nodes); i++ {
		if n := f.nodes[i]; f.sizes[i] > 0 {
			b = appendRecord(b, leafMark, f.sizes[i])
		} else {
			b = appendRecord(b, uint16(n.link>>linkShift), math.Float32bits(n.threshold))
		}
	}
	return f.appendWeights(b), nil
}

func appendHeader(b []byte, features, trees, subsample, nodes int) []byte {
	b = binary.LittleEndian.AppendUint16(b, uint16(features))
	b = binary.LittleEndian.AppendUint16(b, uint16(trees))
	b = binary.LittleEndian.AppendUint32(b, uint32(subsample))
	return binary.LittleEndian.AppendUint32(b, uint32(nodes))
}

func appendRecord(b []byte, mark uint16, value uint32) []byte {
	b = binary.LittleEndian.AppendUint16(b, mark)
	return binary.LittleEndian.AppendUint32(b, value)
}

// Decode reads a forest written by [Forest.AppendBinary]. It trusts nothing in
// b: sizes are held against caps and against len(b) before memory is taken,
// and all of b must be used. Every error wraps [ErrFormat]. What decodes
// encodes to the same bytes.
func Decode(b []byte) (*Forest, error) {
	if len(b) < headerSize {
		return nil, refuse("%d bytes are too few for a header of %d", len(b), headerSize)
	}
	features := int(binary.LittleEndian.Uint16(b[0:]))
	trees := int(binary.LittleEndian.Uint16(b[2:]))
	subsample := int64(binary.LittleEndian.Uint32(b[4:]))
	nodes := int64(binary.LittleEndian.Uint32(b[8:]))
	size := headerSize + max(0, nodes)*recordSize
	records := b[headerSize:min(size, int64(len(b)))]
	switch {
	case features < 1 || features > maxFeatures:
		return nil, refuse("%d features (want 1 to %d)", features, maxFeatures)
	case trees < 1 || trees > maxTrees:
		return nil, refuse("%d trees (want 1 to %d)", trees, maxTrees)
	case subsample < 1 || subsample > maxSubsample:
		return nil, refuse("subsample of %d (want 1 to %d)", subsample, maxSubsample)
	case nodes < int64(trees) || nodes > maxNodes:
		return nil, refuse("%d nodes (want %d to %d)", nodes, trees, maxNodes)
	case int64(len(records)) != nodes*recordSize:
		return nil, refuse("%d bytes for %d nodes (want %d)", len(records), nodes, nodes*recordSize)
	}
	f := &Forest{
		nodes:     make([]node, 1, nodes+1),
		sizes:     make([]uint32, 1, nodes+1),
		groups:    make([]group, (trees+lanes-1)/lanes),
		trees:     trees,
		subsample: int(subsample),
		features:  features,
	}
	f.nodes[0].threshold = float32(math.Inf(1)) // the stub: a leaf of one row at depth 0
	f.sizes[0] = 1
	for t := range trees {
		root := len(f.nodes)
		rest, height, err := f.plant(records)
		if err != nil {
			return nil, refuse("tree %d: %v", t, err)
		}
		g := &f.groups[t/lanes]
		g.root[t%lanes], g.height = uint32(root), max(g.height, height)
		records = rest
	}
	if len(records) != 0 {
		return nil, refuse("%d nodes after the last tree", len(records)/recordSize)
	}
	f.average = averages(f.subsample)
	if err := f.readWeights(b[size:]); err != nil {
		return nil, err
	}
	return f, nil
}

// plant appends the tree at the front of records to f and returns its height
// and the records after it.
func (f *Forest) plant(records []byte) (rest []byte, height uint32, err error) {
	var (
		root  = len(f.nodes)
		next  = root + 1 // next child owed: the tree is over when it is reached
		level = next     // where the nodes of the current depth end
		rows  = uint64(0)
	)
	for i := root; i < next; i++ {
		if i == level {
			level = next
			if height++; height > maxDepth {
				return nil, 0, fmt.Errorf("deeper than %d cuts", maxDepth)
			}
		}
		if len(records) == 0 {
			return nil, 0, fmt.Errorf("%d nodes are missing", next-i)
		}
		mark, value := binary.LittleEndian.Uint16(records), binary.LittleEndian.Uint32(records[2:])
		records = records[recordSize:]
		n, size := node{float32(math.Inf(1)), height<<linkShift | uint32(i)}, value
		if mark != leafMark {
			if int(mark) >= f.features {
				return nil, 0, fmt.Errorf("node %d: feature %d of %d", i-root, mark, f.features)
			}
			n, size = node{math.Float32frombits(value), uint32(mark)<<linkShift | uint32(next)}, 0
			if v := float64(n.threshold); math.IsNaN(v) || math.IsInf(v, 0) {
				return nil, 0, fmt.Errorf("node %d: threshold %v", i-root, v)
			}
			next += 2
		} else if size == 0 {
			return nil, 0, fmt.Errorf("node %d: empty leaf", i-root)
		}
		f.nodes, f.sizes = append(f.nodes, n), append(f.sizes, size)
		rows += uint64(size)
	}
	if rows != uint64(f.subsample) {
		return nil, 0, fmt.Errorf("%d rows in the leaves (want %d)", rows, f.subsample)
	}
	return records, height, nil
}

func refuse(format string, args ...any) error {
	return fmt.Errorf("forest: %w: %s", ErrFormat, fmt.Sprintf(format, args...))
}

package scan

import (
	"golang.org/x/net/html/atom"
)

// startTable is the start tag in the modes of tables. It reports false if the tag is
// to be read again in another mode.
func (s *scanner) startTable() bool {
	a := s.tag.atom
	isPart := false // of a table, which ends what is not
	switch a {
	case atom.Caption, atom.Col, atom.Colgroup, atom.Tbody, atom.Td, atom.Tfoot, atom.Th, atom.Thead, atom.Tr:
		isPart = true
	}
	switch s.mode {
	case inCaption:
		if !isPart || a == atom.Th {
			s.startBody()
			return true
		}
		if !s.closeTo(tableScope, atom.Caption) {
			return true
		}
		s.unmark()
		s.mode = inTable
		return false
	case inCell:
		if !isPart {
			s.startBody()
			return true
		}
		if !s.closeTo(tableScope, atom.Td, atom.Th) {
			return true
		}
		s.unmark()
		s.mode = inRow
		return false
	case inColumnGroup:
		switch {
		case a == atom.Col:
			s.void()
			return true
		case a == atom.Template:
			return s.startHead()
		case s.top().atom != atom.Colgroup:
			return true
		}
		s.pop()
		s.mode = inTable
		return false
	case inTableBody:
		switch {
		case a == atom.Tr:
			s.clearTo(atom.Tbody, atom.Tfoot, atom.Thead)
			s.open()
			s.mode = inRow
			return true
		case a == atom.Td || a == atom.Th:
			s.clearTo(atom.Tbody, atom.Tfoot, atom.Thead)
			s.push(s.newNode(atom.Tr, nil))
			s.mode = inRow
			return false
		case isPart:
			if !s.closeTo(tableScope, atom.Tbody, atom.Thead, atom.Tfoot) {
				return true
			}
			s.mode = inTable
			return false
		}
	case inRow:
		switch {
		case a == atom.Td || a == atom.Th:
			s.clearTo(atom.Tr)
			s.open()
			s.mark()
			s.mode = inCell
			return true
		case isPart:
			return !s.closeRow()
		}
	}
	return s.startInTable()
}

// closeRow closes the row that is open, and reports whether one was.
func (s *scanner) closeRow() bool {
	if s.inScope(tableScope, atom.Tr) < 0 {
		return false
	}
	s.clearTo(atom.Tr)
	s.pop()
	s.mode = inTableBody
	return true
}

func (s *scanner) startInTable() bool {
	switch s.tag.atom {
	case atom.Caption:
		s.clearTo(atom.Table)
		s.mark()
		s.open()
		s.mode = inCaption
	case atom.Colgroup:
		s.clearTo(atom.Table)
		s.open()
		s.mode = inColumnGroup
	case atom.Col:
		s.clearTo(atom.Table)
		s.push(s.newNode(atom.Colgroup, nil))
		s.mode = inColumnGroup
		return false
	case atom.Tbody, atom.Tfoot, atom.Thead:
		s.clearTo(atom.Table)
		s.open()
		s.mode = inTableBody
	case atom.Td, atom.Th, atom.Tr:
		s.clearTo(atom.Table)
		s.push(s.newNode(atom.Tbody, nil))
		s.mode = inTableBody
		return false
	case atom.Table:
		if !s.closeTo(tableScope, atom.Table) {
			return true
		}
		s.resetMode()
		return false
	case atom.Style, atom.Script, atom.Template:
		s.startHead()
	case atom.Form:
		if s.templates == 0 && s.form == nil {
			s.form = s.open()
			s.pop()
		}
	case atom.Input:
		for _, a := range s.attributes(false) {
			if a.Key == "type" && equalFold([]byte(a.Val), "hidden") {
				s.void()
				return true
			}
		}
		s.lost = true
	case atom.Body, atom.Head, atom.Frame:
	default:
		s.lost = true // it goes before the table
	}
	return true
}

// endTable is the end tag in the modes of tables. It reports false if the tag is to
// be read again in another mode.
func (s *scanner) endTable() bool {
	a := s.tag.atom
	ignored, section := false, false
	switch a {
	case atom.Body, atom.Caption, atom.Col, atom.Colgroup, atom.Html, atom.Td, atom.Th:
		ignored = true
	case atom.Tbody, atom.Tfoot, atom.Thead:
		section = true
	}
	switch s.mode {
	case inCaption:
		switch {
		case a == atom.Caption || a == atom.Table:
			if !s.closeTo(tableScope, atom.Caption) {
				return true
			}
			s.unmark()
			s.mode = inTable
			return a == atom.Caption
		case ignored || section || a == atom.Tr:
			return true
		}
		return s.endBody()
	case inCell:
		switch {
		case a == atom.Td || a == atom.Th:
			if s.closeTo(tableScope, a) {
				s.unmark()
				s.mode = inRow
			}
			return true
		case ignored:
			return true
		case a == atom.Table || section || a == atom.Tr:
			if s.inScope(tableScope, a) < 0 {
				return true
			}
			if s.closeTo(tableScope, atom.Td, atom.Th) {
				s.unmark()
			}
			s.mode = inRow
			return false
		}
		return s.endBody()
	case inColumnGroup:
		switch {
		case a == atom.Colgroup:
			if s.top().atom == atom.Colgroup {
				s.pop()
				s.mode = inTable
			}
			return true
		case a == atom.Col:
			return true
		case a == atom.Template:
			return s.endBody()
		case s.top().atom != atom.Colgroup:
			return true
		}
		s.pop()
		s.mode = inTable
		return false
	case inTableBody:
		switch {
		case section:
			if s.inScope(tableScope, a) >= 0 {
				s.clearTo(atom.Tbody, atom.Tfoot, atom.Thead)
				s.pop()
				s.mode = inTable
			}
			return true
		case a == atom.Table:
			if !s.closeTo(tableScope, atom.Tbody, atom.Thead, atom.Tfoot) {
				return true
			}
			s.mode = inTable
			return false
		}
	case inRow:
		switch {
		case a == atom.Tr:
			s.closeRow()
			return true
		case a == atom.Table:
			return !s.closeRow()
		case section:
			return s.inScope(tableScope, a) < 0 || !s.closeRow()
		}
	}
	switch {
	case a == atom.Table:
		if s.closeTo(tableScope, atom.Table) {
			s.resetMode()
		}
		return true
	case ignored || section || a == atom.Tr:
		return true
	}
	return s.endBody()
}

// SPDX-License-Identifier: Apache-2.0

package evidence

// Class is a class of attacks.
type Class uint8

// The classes of attack text. Classes for which too little text is known to learn from are pooled in Other.
const (
	SQLi    Class  = iota // SQL injection
	XSS                   // cross-site scripting
	RCE                   // operating-system commands
	LFI                   // file inclusion and path traversal, local and remote
	PHP                   // PHP code
	Java                  // Java code, expression languages, serialised objects, log4shell
	SSTI                  // template and JavaScript code run on the server
	Other                 // XXE, SSRF, LDAP, XPath, NoSQL, CRLF and the rest
	Classes = iota        // their number
)

var classNames = [Classes]string{"sqli", "xss", "rce", "lfi", "php", "java", "ssti", "other"}

// String returns the class's name, as it stands in TX:ml_score_<name>.
func (c Class) String() string {
	if int(c) >= Classes {
		return "unknown"
	}
	return classNames[c]
}

// ClassOfRule tells which class of attack a CRS rule looks for, by the file it stands in; ok is false where the file
// mixes several or looks for none.
func ClassOfRule(rule int) (c Class, ok bool) {
	switch rule / 1000 {
	case 930, 931:
		return LFI, true
	case 932:
		return RCE, true
	case 933:
		return PHP, true
	case 934:
		return SSTI, true
	case 941:
		return XSS, true
	case 942:
		return SQLi, true
	case 944:
		return Java, true
	}
	return Other, false
}

// ClassOf maps the class label of a data set to a class.
func ClassOf(label string) Class {
	switch label {
	case "sqli":
		return SQLi
	case "xss":
		return XSS
	case "rce", "shellshock":
		return RCE
	case "lfi", "rfi":
		return LFI
	case "php":
		return PHP
	case "java", "log4shell", "deserialization":
		return Java
	case "ssti", "nodejs", "generic":
		return SSTI
	}
	return Other
}

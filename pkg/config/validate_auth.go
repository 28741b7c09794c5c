package config

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// paths lists the fields that hold a path of a file.
func (a *Auth) paths() []*string {
	if a == nil {
		return nil
	}
	out := []*string{&a.BearerFile}
	if o := a.OAuth2; o != nil {
		out = append(out, &o.ClientSecretFile, &o.KeyFile, &o.RefreshTokenFile, &o.CAFile)
	}
	if a.Basic != nil {
		out = append(out, &a.Basic.PasswordFile)
	}
	for i := range a.Fields {
		out = append(out, &a.Fields[i].ValueFile)
	}
	return out
}

func (v *checker) auth(at string, a *Auth) {
	if a == nil {
		return
	}
	several := 0
	if a.OAuth2 != nil {
		several++
		v.oauth2(at+".oauth2", a.OAuth2)
	}
	if a.Basic != nil {
		several++
		v.present(at+".basic.user", a.Basic.User, "name the user")
		if strings.Contains(a.Basic.User, ":") || hasControl(a.Basic.User) {
			v.bad(at+".basic.user", strconv.Quote(a.Basic.User), "holds a colon or a control character, which Basic cannot carry", "use another user")
		}
		v.wanted(at+".basic.password_file", a.Basic.PasswordFile)
	}
	if a.BearerFile != "" {
		several++
		v.secret(at+".bearer_file", a.BearerFile)
	}
	if several > 1 {
		v.bad(at, "", "has more than one of oauth2, basic and bearer_file, which all use Authorization", "keep one of them")
	}
	if several == 0 && len(a.Fields) == 0 && !a.Cookies {
		v.bad(at, "", "holds nothing", "add oauth2, basic, bearer_file, fields or cookies, or remove it")
	}
	v.authFields(at+".fields", a.Fields, several > 0, a.Cookies)
}

// authFields checks secret fields; authorized and cookies say that Authorization and Cookie have another use.
func (v *checker) authFields(at string, fields []AuthField, authorized, cookies bool) {
	seen := map[string]bool{}
	for i, f := range fields {
		key := fmt.Sprintf("%s[%d]", at, i)
		v.wanted(key+".value_file", f.ValueFile)
		name := http.CanonicalHeaderKey(f.Name)
		switch {
		case f.Name == "":
			v.bad(key+".name", "", "missing", "name the field, as in X-Api-Key")
			continue
		case !isToken(f.Name):
			v.bad(key+".name", strconv.Quote(f.Name), "is no field name", "write a name as in X-Api-Key")
		case reservedFields[name]:
			v.bad(key+".name", strconv.Quote(f.Name), "is made by hoft itself", "choose another field")
		case name == "Authorization" && authorized, name == "Cookie" && cookies, seen[name]:
			v.bad(key+".name", strconv.Quote(f.Name), "is set in another way already", "keep one of them")
		}
		seen[name] = true
	}
}

// reservedFields frame, route or delimit a message.
var reservedFields = map[string]bool{"Host": true, "Content-Length": true, "Transfer-Encoding": true, "Connection": true, "Te": true, "Trailer": true,
	"Upgrade": true, "Via": true, "Expect": true, "Keep-Alive": true, "Proxy-Connection": true}

func (v *checker) oauth2(at string, o *OAuth2) {
	v.tokenURL(at+".token_url", o.TokenURL)
	v.present(at+".client_id", o.ClientID, "write the id that the OAuth server gave this client")
	if o.ClientAuth != "" {
		v.oneOf(at+".client_auth", o.ClientAuth, "basic", "post", "private_key_jwt", "none")
	}
	v.secret(at+".refresh_token_file", o.RefreshTokenFile)
	jwt, secret := o.ClientAuth == "private_key_jwt", o.ClientAuth == "" || o.ClientAuth == "basic" || o.ClientAuth == "post"
	switch {
	case secret && o.ClientSecretFile == "":
		v.bad(at+".client_secret_file", "", "is needed by client_auth: "+orBasic(o.ClientAuth), "name where the secret is, or choose another client_auth")
	case (jwt || o.ClientAuth == "none") && o.ClientSecretFile != "":
		v.bad(at+".client_secret_file", "", "has no effect with client_auth: "+o.ClientAuth, "remove it")
	case jwt && o.KeyFile == "":
		v.bad(at+".key_file", "", "is needed by client_auth: private_key_jwt", "name where the private key is")
	case !jwt && (o.KeyFile != "" || o.KeyID != ""):
		v.bad(at+".key_file", "", "has no effect without client_auth: private_key_jwt", "remove it")
	}
	v.secret(at+".client_secret_file", o.ClientSecretFile)
	v.privateKey(at+".key_file", o.KeyFile)
}

func orBasic(s string) string {
	if s == "" {
		return "basic"
	}
	return s
}

// tokenURL wants TLS for what is nothing but secrets, loopback apart.
func (v *checker) tokenURL(key, s string) {
	v.url(key, s)
	if u, err := url.Parse(s); err == nil && u.Scheme == "http" && !loopback(net.JoinHostPort(u.Hostname(), "0")) {
		v.bad(key, strconv.Quote(s), "would send secrets in clear", "write https")
	}
}

// present and wanted refuse what is left out.
func (v *checker) present(key, s, mend string) {
	if s == "" {
		v.bad(key, "", "missing", mend)
	}
}

func (v *checker) wanted(key, source string) {
	v.present(key, source, "name a file, credential:NAME or env:NAME")
	v.secret(key, source)
}

package external

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// WeChat is the log-in of websites by WeChat's open platform: a QR code, then a code, then two calls. It knows neither PKCE nor nonces;
// the state and the browser's binding are what holds.
type WeChat struct {
	id, secret, site, api string
	client                *http.Client
}

const weChatScope = "snsapi_login"

// NewWeChat returns the provider. site and api are "https://open.weixin.qq.com" and "https://api.weixin.qq.com".
func NewWeChat(appID, appSecret, site, api string, client *http.Client) *WeChat {
	return &WeChat{id: appID, secret: appSecret, site: strings.TrimSuffix(site, "/"), api: strings.TrimSuffix(api, "/"), client: client}
}

// Name is "wechat".
func (*WeChat) Name() string { return "wechat" }

// URL is the page with the QR code.
func (w *WeChat) URL(_ context.Context, r Request) (string, error) {
	q := url.Values{"appid": {w.id}, "redirect_uri": {r.Redirect}, "response_type": {"code"}, "scope": {weChatScope}, "state": {r.State}}
	return w.site + "/connect/qrconnect?" + q.Encode() + "#wechat_redirect", nil
}

// weChatError comes with status 200.
type weChatError struct {
	Code    int    `json:"errcode"`
	Message string `json:"errmsg"`
}

func (e *weChatError) err() error {
	if e.Code == 0 {
		return nil
	}
	return fmt.Errorf("%w: errcode %d", errRefused, e.Code)
}

// Identity exchanges the code and reads the profile. The subject is the union id, which is the same in all apps of one owner; where
// there is none, the open id.
func (w *WeChat) Identity(ctx context.Context, a Answer) (*Identity, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var token struct {
		weChatError
		AccessToken string `json:"access_token"`
		OpenID      string `json:"openid"`
		UnionID     string `json:"unionid"`
		Scope       string `json:"scope"`
	}
	q := url.Values{"appid": {w.id}, "secret": {w.secret}, "code": {a.Code}, "grant_type": {"authorization_code"}}
	if err := w.get(ctx, "/sns/oauth2/access_token", q, &token); err != nil {
		return nil, err
	}
	if err := token.err(); err != nil {
		return nil, err
	}
	if token.OpenID == "" || token.AccessToken == "" {
		return nil, errors.New("external: wechat names no user")
	}
	var user struct {
		weChatError
		Nickname string `json:"nickname"`
		Avatar   string `json:"headimgurl"`
		OpenID   string `json:"openid"`
		UnionID  string `json:"unionid"`
	}
	if err := w.get(ctx, "/sns/userinfo", url.Values{"access_token": {token.AccessToken}, "openid": {token.OpenID}}, &user); err != nil {
		return nil, err
	}
	if err := user.err(); err != nil {
		return nil, err
	}
	if user.OpenID != token.OpenID {
		return nil, errors.New("external: wechat answers for another user")
	}
	subject := "openid:" + token.OpenID
	if union := max(token.UnionID, user.UnionID); union != "" {
		subject = "unionid:" + union
	}
	return &Identity{Subject: subject, Scopes: strings.FieldsFunc(token.Scope, func(r rune) bool { return r == ',' || r == ' ' }), Name: user.Nickname, Avatar: user.Avatar}, nil
}

// get keeps the address, in which the secret is, out of errors.
func (w *WeChat) get(ctx context.Context, path string, q url.Values, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.api+path+"?"+q.Encode(), http.NoBody)
	if err != nil {
		return errors.New("external: wechat's address is no address")
	}
	err = call(w.client, r, into)
	if ue, ok := errors.AsType[*url.Error](err); ok {
		return fmt.Errorf("external: wechat: %w", ue.Err)
	}
	return err
}

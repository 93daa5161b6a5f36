package com.vivo.push;

import android.content.Context;
import borealis.android.Maker;
import com.vivo.push.listener.IPushQueryActionListener;

/** Stands in for the class of this name in vivo's library, which has both forms of its methods. */
public class PushClient {
  public static PushClient getInstance(Context context) {
    return new PushClient();
  }

  public boolean isSupport() {
    return Maker.supported;
  }

  public void initialize() {
    Maker.calls.add("initialize");
  }

  public void initialize(PushConfig config) {
    Maker.calls.add("initialize config");
  }

  public void turnOnPush(IPushActionListener listener) {
    Maker.calls.add("turnOnPush");
    listener.onStateChanged(Maker.failure);
  }

  public String getRegId() {
    return Maker.token;
  }

  public void getRegId(IPushQueryActionListener listener) {
    if (Maker.token.isEmpty()) {
      listener.onFail(7);
    } else {
      listener.onSuccess(Maker.token);
    }
  }
}
